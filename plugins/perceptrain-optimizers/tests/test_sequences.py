"""Optimizers of a sequence take the steps of fresh ones that follow each other by hand."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import StepLR

from perceptrain import get_optimizer, registry
from perceptrain.optimizers import SequentialOptimizer

NAMES = [
    e.name for e in registry().optimizers.values() if e.distribution == "perceptrain-optimizers"
]
STEPS = 2
#: Together with these all have a group of matrices and one of vectors, so sums have another order.
MUONS = ("adamuon", "muon_adamw", "normuon")
X = torch.randn(8, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def options(name: str) -> dict[str, Any]:
    base = {"base": {"name": "adam", "lr": 1e-2}}
    return {"name": name, **(base if name in ("sam", "lookahead") else {})}


def net() -> nn.Module:
    torch.manual_seed(0)
    np.random.seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()


def step(model: nn.Module, optimizer: Any) -> None:
    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (model(X) - X.sin().sum(1, keepdim=True)).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def by_hand(names: Sequence[str]) -> list[Tensor]:
    """Train with one fresh optimizer after the other; return the weights after each step."""
    model, seen = net(), []
    for name in names:
        optimizer: Any = get_optimizer(options(name), model.parameters())
        averages = "train_mode" in optimizer.param_groups[0]
        if averages:
            optimizer.train()
        for _ in range(STEPS):
            step(model, optimizer)
            seen.append(weights(model))
        if averages:
            optimizer.eval()
    return seen


def sequence(model: nn.Module, names: Sequence[str]) -> SequentialOptimizer:
    milestones = [STEPS * n for n in range(1, len(names))]
    optimizer = SequentialOptimizer(model.parameters(), list(map(options, names)), milestones)
    optimizer.train()
    return optimizer


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MUONS])
def test_before_and_after_one_that_counts_in_its_groups(name: str) -> None:
    names = [name, "prodigy", name, "dadapt_sgd", name, "schedule_free_adamw", name]
    expected = by_hand(names)
    model = net()
    optimizer = sequence(model, names)
    for epoch, value in enumerate(expected, 1):
        optimizer.begin_epoch(epoch)
        step(model, optimizer)
        assert torch.equal(weights(model), value), epoch
    optimizer.begin_epoch(1)
    again = get_optimizer(options(name), model.parameters())
    assert optimizer.param_groups[0].keys() >= again.param_groups[0].keys()
    assert not any(p in optimizer.state for p in model.parameters() if p not in again.state)


@pytest.mark.parametrize("other", ["adan", "adabound", "came", "dadapt_sgd", "sam"])
@pytest.mark.parametrize("muon", MUONS)
def test_before_and_after_muon(muon: str, other: str) -> None:
    names = [muon, other, muon]
    model = net()
    optimizer = sequence(model, names)
    for epoch, value in enumerate(by_hand(names), 1):
        optimizer.begin_epoch(epoch)
        step(model, optimizer)
        assert torch.allclose(weights(model), value, rtol=1e-9, atol=1e-12), epoch


@pytest.mark.parametrize("name", ["sam", "lookahead", "soap", "prodigy", "muon_adamw"])
@pytest.mark.parametrize("taken", [1, 2, 3, 4, 5])
def test_a_state_goes_on_exactly(name: str, taken: int) -> None:
    names = ["adam", name, "schedule_free_sgd"]
    whole, resumed = net(), net()
    optimizer, again = sequence(whole, names), sequence(resumed, names)
    for epoch in range(1, 7):
        optimizer.begin_epoch(epoch)
        step(whole, optimizer)
        if epoch == taken:
            resumed.load_state_dict(whole.state_dict())
            again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        elif epoch > taken:
            again.begin_epoch(epoch)
            step(resumed, again)
    assert torch.equal(weights(whole), weights(resumed))


@pytest.mark.parametrize("name", ["sam", "lookahead"])
def test_a_schedule_reaches_the_optimizer_inside(name: str) -> None:
    model, alone = net(), net()
    optimizer = sequence(model, ["sgd", name])
    schedule = StepLR(optimizer, 1, gamma=0.5)
    by_hand: Optimizer = torch.optim.SGD(alone.parameters(), lr=1e-3)
    for epoch in range(5):
        optimizer.begin_epoch(epoch + 1)
        if epoch == STEPS:
            by_hand = get_optimizer(options(name), alone.parameters())
        by_hand.param_groups[0]["lr"] = (1e-3 if epoch < STEPS else 1e-2) * 0.5**epoch
        step(model, optimizer)
        step(alone, by_hand)
        schedule.step()
    assert torch.allclose(weights(model), weights(alone), rtol=1e-14)
