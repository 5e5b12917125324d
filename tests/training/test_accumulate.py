"""Several batches in a step, and gradients that are clipped, in a whole run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from perceptrain import Callback, Trainer, default_optimize_step, to_dataloader
from perceptrain.errors import ConfigError, TrainingError

MakeTrainer = Callable[..., Trainer]


def test_is_training_on_larger_batches(make_trainer: MakeTrainer) -> None:
    large = make_trainer(max_iter=3, batch_size=10, dtype="float64")
    small = make_trainer(max_iter=3, batch_size=5, accumulate=2, dtype="float64")
    for trainer in (large, small):
        trainer.fit()
    assert small.global_step == large.global_step == 6
    assert small.batches_seen == 12
    assert small.history == [pytest.approx(row) for row in large.history]
    for a, b in zip(large.model.parameters(), small.model.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_the_last_step_of_an_epoch_takes_what_is_left(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_iter=2, batch_size=5, accumulate=3)
    trainer.fit()
    assert (trainer.global_step, trainer.batches_seen) == (4, 8)


def test_batch_stages_count_batches_and_see_each(make_trainer: MakeTrainer, rows: Any) -> None:
    seen: list[Any] = []

    def look(trainer: Any, config: Any, writer: Any) -> None:
        seen.append((trainer.global_step, float(trainer.opt_result.loss)))

    trainer = make_trainer(
        lambda batch, model: (model(batch[0]).sum() * 0 + batch[1].sum(), {}),
        max_iter=1,
        batch_size=5,
        accumulate=2,
        callbacks=[Callback("train_batch_end", 1, look)],
    )
    trainer.fit()
    sums = [part.sum().item() for part in rows[1].split(5)]
    assert [step for step, _ in seen] == [1, 1, 2, 2]
    assert [loss for _, loss in seen] == pytest.approx(sums)


def test_hooks_see_each_batch_too(make_trainer: MakeTrainer) -> None:
    trainer, seen = make_trainer(max_iter=1, batch_size=5, accumulate=4), []
    trainer.on_train_batch_start = lambda batch: seen.append(len(batch[0]))  # type: ignore[method-assign]
    trainer.on_train_batch_end = lambda result: seen.append("end")  # type: ignore[method-assign]
    trainer.fit()
    assert seen == [5, 5, 5, 5, "end", "end", "end", "end"]


def test_an_epoch_of_an_infinite_loader_is_a_step(make_trainer: MakeTrainer, rows: Any) -> None:
    trainer = make_trainer(
        data=to_dataloader(*rows, batch_size=4, infinite=True), max_iter=5, accumulate=3
    )
    trainer.fit()
    assert (trainer.global_step, trainer.batches_seen) == (5, 15)


def test_gradients_are_clipped(make_trainer: MakeTrainer) -> None:
    norms: list[float] = []

    def measure(trainer: Any, config: Any, writer: Any) -> None:
        norms.append(torch.cat([p.grad.flatten() for p in trainer.model.parameters()]).norm())

    look = Callback("train_batch_end", 1, measure)
    make_trainer(callbacks=[look]).fit()
    free = max(norms)
    norms.clear()
    make_trainer(callbacks=[look], grad_clip=0.1 * float(free)).fit()
    assert 0 < max(norms) <= 0.1 * free * 1.0001


def test_each_element_is_clipped(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(grad_clip_value=1e-3)
    trainer.fit()
    largest = max(float(p.grad.abs().max()) for p in trainer.model.parameters())
    assert largest == pytest.approx(1e-3)


@pytest.mark.parametrize("setting", [{"grad_clip": 0.1}, {"grad_clip_value": 0.1}])
def test_clipping_is_refused_where_a_line_search_would_fail(
    make_trainer: MakeTrainer, setting: Any
) -> None:
    trainer = make_trainer(optimizer="lbfgs", **setting)
    name, value = next(iter(setting.items()))
    with pytest.raises(
        TrainingError, match=f"{name}={value}.* LBFGS evaluates .* Leave the clipping"
    ):
        trainer.fit()
    with pytest.raises(TrainingError, match="line search"):
        trainer.overfit_batch()


def test_adam_and_lbfgs_clips_in_the_steps_of_adam_only(make_trainer: MakeTrainer) -> None:
    norms: list[float] = []

    def measure(trainer: Any, config: Any, writer: Any) -> None:
        norms.append(torch.cat([p.grad.flatten() for p in trainer.model.parameters()]).norm())

    def run(adam_lr: float, **settings: Any) -> Trainer:
        optimizer = {
            "name": "adam_lbfgs",
            "switch_epoch": 2,
            "adam_kwargs": {"lr": adam_lr},
            "lbfgs_kwargs": {"line_search_fn": "strong_wolfe"},
        }
        look = Callback("train_batch_end", 1, measure)
        options = {"batch_size": 20, "max_iter": 6, "callbacks": [look]} | settings
        trainer = make_trainer(optimizer=optimizer, **options)
        trainer.fit()
        return trainer

    # With a rate of 0 for Adam, all that differs is what L-BFGS does.
    free, clipped = run(0.0), run(0.0, grad_clip=1e-6)
    assert clipped.history == free.history
    assert clipped.history[-1]["train_loss"] < 0.5 * free.history[0]["train_loss"]
    assert max(norms[6:8]) <= 1.001e-6 < min(norms[8:])


def test_a_batch_that_is_not_finite_is_left_out_of_its_step(
    make_trainer: MakeTrainer, rows: Any
) -> None:
    x, y = (tensor.clone() for tensor in rows)
    y[7] = float("nan")
    trainer = make_trainer(data=(x, y), max_iter=1, batch_size=5, accumulate=2, on_nonfinite="skip")
    with pytest.warns(UserWarning, match="1 of 4 batches"):
        trainer.fit()
    assert (trainer.global_step, trainer.batches_seen) == (2, 4)


def test_the_error_names_the_batches_of_the_step(make_trainer: MakeTrainer, rows: Any) -> None:
    x, y = (tensor.clone() for tensor in rows)
    y[17] = float("nan")
    trainer = make_trainer(data=(x, y), batch_size=5, accumulate=2)
    with pytest.raises(ArithmeticError, match="in epoch 1, batches 3 to 4"):
        trainer.fit()


@pytest.mark.parametrize("setting", [{"accumulate": 2}, {"grad_clip": 1.0}])
def test_a_step_of_ones_own_does_it_by_itself(make_trainer: MakeTrainer, setting: Any) -> None:
    def own(*args: Any, **options: Any) -> Any:
        return default_optimize_step(*args, **options)

    with pytest.raises(TrainingError, match="only work with the built-in"):
        make_trainer(options={"optimize_step": own}, **setting).fit()


@pytest.mark.parametrize(
    "setting", [{"accumulate": 0}, {"grad_clip": 0}, {"grad_clip": float("inf")}, {"ema": 1.0}]
)
def test_values_that_cannot_be(make_trainer: MakeTrainer, setting: Any) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        make_trainer(**setting)
