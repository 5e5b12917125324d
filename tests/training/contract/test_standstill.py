"""Runs that train nothing say so once, and others say nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import Callback, TrainConfig, Trainer

MakeTrainer = Callable[..., Trainer]


def no_pairs(batch: Any, model: nn.Module) -> Any:
    return (model(batch[0]) * 0).sum(), {}


def saturated(batch: Any, model: nn.Module) -> Any:
    return (model(batch[0]).clamp(min=100.0) - 1).mean(), {}


def run(make_trainer: MakeTrainer, loss: Any, optimizer: str = "adam", **settings: Any) -> Trainer:
    settings = {"max_iter": 25, "batch_size": 5, "loss_fn": loss, **settings}
    trainer = make_trainer(**settings)
    trainer.optimizer = {"name": optimizer, "lr": 1e-2}
    trainer.fit()
    return trainer


@pytest.mark.parametrize(
    ("loss", "reason"), [(no_pairs, "The loss is 0"), (saturated, "The loss is 99")]
)
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_gradients_that_are_zero(
    make_trainer: MakeTrainer, loss: Any, reason: str, optimizer: str
) -> None:
    with pytest.warns(UserWarning, match=f"All gradients were zero .* step 100. {reason}") as seen:
        run(make_trainer, loss, optimizer, max_iter=30)
    assert len(seen) == 1


def test_parameters_that_stay(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_iter=30, batch_size=5)
    for group in trainer.optimizer.param_groups:
        group["lr"] = 1e-12
    trainer.model.float()
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter += 1.0
    with pytest.warns(UserWarning, match="The parameters did not change .* precision"):
        trainer.fit()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_run_that_trains_says_nothing(make_trainer: MakeTrainer, optimizer: str) -> None:
    assert run(make_trainer, "mse", optimizer).global_step == 100


def test_a_step_that_clears_its_gradients_says_nothing(make_trainer: MakeTrainer) -> None:
    def step(model: Any, optimizer: Any, loss_fn: Any, xs: Any, **where: Any) -> Any:
        loss, metrics = loss_fn(xs, model)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        return loss, metrics

    trainer = make_trainer(max_iter=30, batch_size=5)
    trainer.optimize_step = step
    trainer.fit()


@pytest.mark.slow
def test_a_hinge_that_is_learned_says_nothing(make_trainer: MakeTrainer) -> None:
    def hinge(batch: Any, model: nn.Module) -> Any:
        loss: Tensor = (1 - model(batch[0])).clamp(min=0).mean()
        return loss, {}

    assert run(make_trainer, hinge, max_iter=300).history[-1]["train_loss"] == 0


@pytest.mark.parametrize("name", ["lbfgs", "sgd"])
def test_a_run_that_has_converged_says_nothing(make_trainer: MakeTrainer, name: str) -> None:
    model = nn.Linear(1, 1)
    inputs = torch.linspace(-1, 1, 20).reshape(-1, 1)
    config = TrainConfig(max_iter=300, batch_size=20, verbose=False, tracking_tool="none")
    Trainer(model, {"name": name, "lr": 0.5}, config, "mse", (inputs, inputs.square())).fit()


@pytest.mark.slow
def test_a_rate_of_zero_moves_nothing(make_trainer: MakeTrainer) -> None:
    def warm_up(trainer: Any, config: Any, writer: Any) -> None:
        for group in trainer.optimizer.param_groups:
            group["lr"] = 0.0 if trainer.current_epoch < 27 else rate

    def train(epochs: int) -> Trainer:
        callback = Callback("train_epoch_start", callback=warm_up)
        trainer = make_trainer(max_iter=epochs, batch_size=5, callbacks=[callback])
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter += 1.0
        trainer.fit()
        return trainer

    rate = 0.01
    before = [p + 1.0 for p in make_trainer().model.parameters()]
    trained = train(35)  # more than 100 steps at a rate of 0
    for start, end in zip(before, trained.model.parameters(), strict=True):
        assert not torch.equal(start, end)
    rate = 1e-12  # from about step 105 on, which the checks from step 200 see
    with pytest.warns(UserWarning, match="The parameters did not change .* step 1000"):
        train(255)
