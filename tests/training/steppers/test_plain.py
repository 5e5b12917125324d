"""The usual step does what the step with options does, at their defaults."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.config import TrainConfig
from perceptrain_core.engine import make_engine
from perceptrain_core.training.steppers.base import Stepper
from perceptrain_core.training.steppers.choice import make_scaler, make_stepper
from perceptrain_core.training.steppers.gradients import AdaptiveStepper
from perceptrain_core.training.steppers.optimize_step import optimize_step
from perceptrain_core.training.steppers.plain import PlainStepper
from perceptrain_core.types import SkipBatch


def net() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1)).double()


def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    if batch[0].sum() > 3:
        raise SkipBatch
    loss = F.mse_loss(model(batch[0]), batch[1])
    return loss, {"double": 2 * loss}


def train(kind: type[Stepper]) -> tuple[list[Any], list[Tensor]]:
    model = net()
    stepper = kind(model, torch.optim.Adam(model.parameters(), lr=0.05), loss_fn)
    batches = torch.randn(8, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    outcomes = [stepper.take([(batch[:, :3], batch[:, 3:])]) for batch in batches]
    return outcomes, [*model.parameters()]


def test_is_the_step_with_options_at_their_defaults() -> None:
    ours, mine = train(PlainStepper)
    theirs, other = train(AdaptiveStepper)
    assert {stepped for _, stepped in ours} == {True, False}  # a batch was skipped
    for ((result,), stepped), ((expected,), did) in zip(ours, theirs, strict=True):
        assert stepped is did
        assert (result is None) is (expected is None)
        if result is not None:
            assert torch.equal(result[0], expected[0])
            assert torch.equal(result[1]["double"], expected[1]["double"])
            assert not result[0].requires_grad
            assert not result[1]["double"].requires_grad
    assert all(torch.equal(p, q) for p, q in zip(mine, other, strict=True))


class Counted:
    """A loss that counts its steps."""

    steps = 0

    def begin_step(self) -> None:
        self.steps += 1

    def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        return loss_fn(batch, model)


def test_announces_each_step_to_the_loss() -> None:
    model, counted = net(), Counted()
    stepper = PlainStepper(model, torch.optim.SGD(model.parameters(), lr=0.1), counted)
    for _ in range(3):
        stepper.take([(torch.zeros(2, 3).double(), torch.zeros(2, 1).double())])
    assert counted.steps == 3


@pytest.mark.parametrize(
    ("options", "optimizer"),
    [
        ({"accumulate": 2}, "Adam"),
        ({"grad_clip": 1.0}, "Adam"),
        ({"grad_clip_value": 1.0}, "Adam"),
        ({"on_nonfinite": "skip"}, "Adam"),
        ({"log_grad_norm": True}, "Adam"),
        ({"precision": "fp16"}, "Adam"),
        ({}, "LBFGS"),
    ],
)
def test_is_not_chosen_for_what_it_lacks(options: dict[str, Any], optimizer: str) -> None:
    assert type(chosen(TrainConfig(**options), optimizer)) is AdaptiveStepper


@pytest.mark.parametrize("policy", ["raise", "ignore"])
def test_is_chosen_otherwise(policy: str) -> None:
    assert type(chosen(TrainConfig(on_nonfinite=policy), "Adam")) is PlainStepper


def chosen(config: TrainConfig, optimizer: str) -> Stepper:
    model, engine = net(), make_engine("cpu")
    made = getattr(torch.optim, optimizer)(model.parameters())
    scaler = make_scaler(config, made, engine.device)
    return make_stepper(config, model, made, loss_fn, optimize_step, engine, scaler)
