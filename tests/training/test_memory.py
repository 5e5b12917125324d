"""A run does not grow with its steps."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import Callback, Trainer

MakeTrainer = Callable[..., Trainer]


def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    loss = F.mse_loss(model(batch[0]), batch[1])
    return loss, {"root": loss.sqrt(), "number": 1.5}


def measure(trainer: Trainer, batches: list[Any]) -> tuple[int, int]:
    """Bytes and objects that are there after a fit and were not before."""
    gc.collect()
    before = len(gc.get_objects())
    tracemalloc.start()
    trainer.fit(batches)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return taken, len(gc.get_objects()) - before


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["raise", "skip"])
def test_nothing_is_kept_for_each_batch(make_trainer: MakeTrainer, rows: Any, policy: str) -> None:
    batches = [(rows[0][:4], rows[1][:4])]
    watched = Callback("train_batch_end", callback=lambda t, c, w: t.opt_result.loss)
    trainer = make_trainer(loss_fn, max_iter=1, on_nonfinite=policy, callbacks=[watched])
    measure(trainer, batches * 50)  # what is made once is made now
    few, few_objects = measure(trainer, batches * 50)
    many, many_objects = measure(trainer, batches * 1050)
    # Bytes and objects for each of the 1000 batches more; a single kept float would take 24.
    assert (many - few) / 1000 < 20
    assert (many_objects - few_objects) / 1000 < 0.2


def count_tensors() -> int:
    gc.collect()
    return sum(issubclass(type(item), Tensor) for item in gc.get_objects())


def test_an_epoch_leaves_one_row(make_trainer: MakeTrainer, rows: Any) -> None:
    trainer = make_trainer(loss_fn, data=[rows], max_iter=20)
    trainer.fit()
    few = count_tensors()
    trainer.config.max_iter = 60
    trainer.fit()
    assert count_tensors() <= few + 5
    assert len(trainer.history) == 60
    assert all(set(map(type, row.values())) == {float} for row in trainer.history)


def test_metrics_of_a_step_hold_no_graph(make_trainer: MakeTrainer) -> None:
    kept: list[Any] = []
    callback = Callback(
        "train_batch_end", callback=lambda t, c, w: kept.append(t.opt_result.metrics)
    )
    make_trainer(loss_fn, callbacks=[callback]).fit()
    assert not any(metrics["root"].requires_grad for metrics in kept)
    assert not any(torch.is_tensor(metrics["number"]) for metrics in kept)
