"""The norm of the gradients in the history: before clipping, averaged over steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import Trainer
from perceptrain.callbacks import SaveCheckpoint
from perceptrain.errors import ConfigError, LossContractError, TrainingError

from ..shared import same

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]


def norms_by_hand(model: nn.Module, rows: Rows, size: int, clip: float | None) -> list[float]:
    """Train for an epoch in a plain loop, and return the norm at each step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    norms = []
    for inputs, labels in zip(*(t.split(size) for t in rows), strict=True):
        optimizer.zero_grad()
        (model(inputs) - labels).square().mean().backward()
        squares = [p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]
        norms.append(float(sum(squares)) ** 0.5)
        for p in model.parameters():
            if clip is not None and p.grad is not None:
                p.grad *= min(1.0, clip / (norms[-1] + 1e-6))
        optimizer.step()
    return norms


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize(("size", "accumulate"), [(6, 1), (3, 2), (20, 1)])
def test_is_the_mean_over_the_steps(
    make_trainer: MakeTrainer, rows: Rows, size: int, accumulate: int, clip: float | None
) -> None:
    trainer = make_trainer(
        batch_size=size, accumulate=accumulate, grad_clip=clip, log_grad_norm=True, max_iter=1
    )
    trainer.fit()
    norms = norms_by_hand(make_trainer().model, rows, size * accumulate, clip)
    mean = sum(norms) / len(norms)
    assert clip is None or min(norms) > clip
    assert trainer.history[0]["train_grad_norm"] == pytest.approx(mean, rel=1e-4)


def test_it_changes_nothing_else_and_is_off_by_default(make_trainer: MakeTrainer) -> None:
    off, on = make_trainer(), make_trainer(log_grad_norm=True)
    for trainer in (off, on):
        trainer.fit()
    assert same(on.model, off.model)
    assert [{k: v for k, v in row.items() if k != "train_grad_norm"} for row in on.history] == [
        *off.history
    ]
    assert all("train_grad_norm" not in row for row in off.history)


def test_of_an_optimizer_with_a_line_search_it_is_that_at_the_start_of_a_step(
    make_trainer: MakeTrainer, rows: Rows
) -> None:
    trainer = make_trainer()
    expected = norms_by_hand(make_trainer().model, rows, 20, None)[0]
    optimizer = torch.optim.LBFGS(trainer.model.parameters())
    options: dict[str, Any] = {"model": trainer.model, "optimizer": optimizer}
    searching = make_trainer(**options, batch_size=20, max_iter=1, log_grad_norm=True)
    searching.fit()
    assert searching.history[0]["train_grad_norm"] == pytest.approx(expected, rel=1e-4)


def test_skipped_steps_do_not_count(make_trainer: MakeTrainer, rows: Rows) -> None:
    x, y = rows[0].clone(), rows[1].clone()
    x[10:15] = float("nan")
    trainer = make_trainer(data=(x, y), log_grad_norm=True, on_nonfinite="skip", max_iter=1)
    with pytest.warns(UserWarning, match="1 of 4 batches"):
        trainer.fit()
    kept = tuple(torch.cat([t[:10], t[15:]]) for t in rows)
    norms = norms_by_hand(make_trainer().model, kept, 5, None)
    assert trainer.history[0]["train_grad_norm"] == pytest.approx(sum(norms) / 3, rel=1e-4)


def test_resumes_inside_an_epoch(make_trainer: MakeTrainer) -> None:
    settings = {"log_grad_norm": True, "max_iter": 2}
    save = [SaveCheckpoint("train_batch_end")]
    whole = make_trainer(log_folder="whole", **settings)
    whole.fit()
    make_trainer(max_steps=6, callbacks=save, **settings).fit()
    again = make_trainer(callbacks=save, **settings)
    again.fit(resume=True)
    assert again.history == whole.history


def test_a_metric_of_the_loss_with_its_name(make_trainer: MakeTrainer) -> None:
    def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return (model(batch[0]) - batch[1]).square().mean(), {"grad_norm": torch.tensor(1.0)}

    make_trainer(loss_fn).fit()
    with pytest.raises(LossContractError, match="'grad_norm', and so does the trainer: rename"):
        make_trainer(loss_fn, log_grad_norm=True).fit()


def test_needs_the_step_of_the_trainer_and_gradients(make_trainer: MakeTrainer) -> None:
    def step(model: Any, optimizer: Any, loss_fn: Any, xs: Any, device: Any, dtype: Any) -> Any:
        raise AssertionError

    with pytest.raises(TrainingError, match="log_grad_norm and fp16 only work with the built-in"):
        make_trainer(log_grad_norm=True, options={"optimize_step": step}).fit()
    pytest.importorskip("nevergrad")
    from perceptrain.optimizers import NevergradOptimizer

    model = make_trainer().model
    search = NevergradOptimizer(model.parameters(), "OnePlusOne", budget=10)
    with pytest.raises(ConfigError, match="log_grad_norm=True: has no effect without gradients"):
        make_trainer(log_grad_norm=True, model=model, optimizer=search).fit()


@pytest.mark.usefixtures("forked_workers")
def test_several_processes(make_trainer: MakeTrainer) -> None:
    settings = {"log_grad_norm": True, "max_iter": 2, "tracking_tool": "none"}
    alone = make_trainer(batch_size=10, **settings)
    two = make_trainer(batch_size=5, nprocs=2, **settings)
    for trainer in (alone, two):
        trainer.fit()
    for one, other in zip(two.history, alone.history, strict=True):
        assert one["train_grad_norm"] == pytest.approx(other["train_grad_norm"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_the_norm_is_computed_once_when_steps_may_be_skipped(
    make_trainer: MakeTrainer, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(policy: str) -> list[float]:
        trainer = make_trainer(log_grad_norm=True, on_nonfinite=policy, tracking_tool="none")
        trainer.optimizer = {"name": optimizer, "lr": 0.01}
        trainer.fit()
        return [row["train_grad_norm"] for row in trainer.history]

    expected = rows("raise")
    monkeypatch.delattr("perceptrain_core.training.steppers.gradients.get_total_norm")
    assert rows("skip") == pytest.approx(expected, rel=1e-6)
