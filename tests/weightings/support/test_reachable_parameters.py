"""Whatever waits for a gradient gets it, on a step that updates weights as on any other."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from perceptrain import FFNN, WeightedLoss
from perceptrain.errors import TrainingError
from perceptrain_core.weightings.support.precomputed_gradient import PrecomputedLoss
from perceptrain_core.weightings.support.reachable_parameters import _trainable


class Coefficient:
    """Terms of second order with a coefficient that only the loss knows, at points made anew."""

    def __init__(self, value: Tensor) -> None:
        self.value = value

    def __call__(self, batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        x = batch.clone().requires_grad_()
        u = model(x)
        (du,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        terms = {"pde": (du - self.value * u).square().mean(), "fit": (u - 1).square().mean()}
        return terms["pde"] + terms["fit"], terms


def net() -> nn.Module:
    torch.manual_seed(0)
    return FFNN([1, 6, 1], "tanh")


def steps(
    loss: Any,
    model: nn.Module,
    waiting: Callable[[], list[Tensor]],
    number: int = 6,
    every: int = 1,
) -> list[type]:
    """Compare gradients with those of the ordinary weighted sum; give the kinds of losses."""
    batch = torch.rand(5, 1)
    weighted = WeightedLoss(loss, {"name": "grad_norm_balance", "every": every})
    kinds = []
    for _ in range(number):
        value, metrics = weighted(batch, model)
        terms = loss(batch, model)[1]
        same = sum(metrics[f"weight_{name}"] * term for name, term in terms.items())
        for each in waiting():
            each.grad = None
        same.backward()
        expected = [each.grad for each in waiting()]
        for each in waiting():
            each.grad = None
        value.backward()
        torch.testing.assert_close([each.grad for each in waiting()], expected)
        kinds.append(type(value))
        del value, same, terms
        gc.collect()
    return kinds


def test_points_that_are_made_anew_are_not_waited_for() -> None:
    model = net()
    kinds = steps(Coefficient(torch.tensor(2.0)), model, lambda: [*model.parameters()])
    assert kinds == [Tensor, *[PrecomputedLoss] * 5]  # at the first step it cannot be known


@pytest.mark.parametrize("every", [1, 2])
def test_a_coefficient_that_is_no_parameter(every: int) -> None:
    model, value = net(), torch.tensor(2.0, requires_grad=True)
    kinds = steps(Coefficient(value), model, lambda: [*model.parameters(), value], every=every)
    assert set(kinds) == {Tensor}


def test_a_coefficient_that_is_a_parameter_and_is_frozen_for_a_while() -> None:
    model, value = net(), nn.Parameter(torch.tensor(2.0))
    loss = Coefficient(value)
    weighted = WeightedLoss(loss, {"name": "grad_norm_balance", "every": 1})
    for trains in (True, False, False, True):
        value.requires_grad_(trains)
        value.grad = None
        weighted(torch.rand(5, 1), model)[0].backward()
        assert (value.grad is not None) == trains


def test_a_batch_that_records_gradients() -> None:
    model, x = net(), torch.rand(4, 1, requires_grad=True)

    def loss(batch: Any, model: nn.Module) -> Any:
        terms = {"a": model(batch["x"]).square().mean(), "b": (model(batch["x"]) - 1).abs().mean()}
        return terms["a"], terms

    value, _ = WeightedLoss(loss, {"name": "grad_norm_balance", "every": 1})({"x": x}, model)
    value.backward()
    assert x.grad is not None


def test_a_parameter_that_a_later_term_brings() -> None:
    model, late = net(), nn.Parameter(torch.tensor(0.5))

    def loss(batch: Any, model: nn.Module) -> Any:
        terms = {"fit": (model(torch.ones(2, 1)) - 1).square().mean()}
        if batch:
            terms["late"] = (late * model(torch.ones(2, 1))).square().mean()
        return terms["fit"], terms

    weighted = WeightedLoss(loss, {"name": "grad_norm_balance", "every": 1})
    for batch in (False, False, False, True):
        weighted(batch, model)[0].backward()
    assert late.grad is not None


def test_parameters_that_checkpointing_hides() -> None:
    model = net()

    def loss(reentrant: bool, model: nn.Module) -> Any:
        x = torch.rand(3, 1).requires_grad_(reentrant)
        u = checkpoint(model, x, use_reentrant=reentrant)
        terms = {"a": u.square().mean(), "b": (u - 1).abs().mean()}
        return terms["a"], terms

    weighted = WeightedLoss(loss, {"name": "grad_norm_balance", "every": 1})
    weighted(False, model)[0].backward()
    assert all(p.grad is not None for p in model.parameters())
    with pytest.raises(TrainingError, match="use_reentrant=True, which hides its parameters"):
        WeightedLoss(loss, {"name": "grad_norm_balance", "every": 1})(True, model)


def test_sparse_gradients_stay_sparse() -> None:
    model = nn.Embedding(10, 2, sparse=True)

    def loss(batch: Tensor, model: nn.Module) -> Any:
        terms = {"a": model(batch).square().mean(), "b": (model(batch) - 1).square().mean()}
        return terms["a"], terms

    weighted = WeightedLoss(loss, {"name": "grad_norm_balance", "every": 1})
    weighted(torch.tensor([1, 3]), model)[0].backward()
    assert model.weight.grad.is_sparse


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_restored_loss_takes_every_step_in_the_same_way(cut: int) -> None:
    batch, whole, model = torch.rand(5, 1), None, net()
    value = torch.tensor(2.0)
    for resumes in (False, True):
        model = net()
        weighted = WeightedLoss(Coefficient(value), {"name": "grad_norm_balance", "every": 1})
        kinds = []
        for step in range(5):
            if resumes and step == cut:
                state = copy.deepcopy(weighted.state_dict())
                weighted = WeightedLoss(weighted.loss_fn, {"name": "grad_norm_balance", "every": 1})
                weighted.load_state_dict(state)
                model = copy.deepcopy(model)
            loss, _ = weighted(batch, model)
            kinds.append(type(loss))
            loss.backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= 0.01 * parameter.grad
                    parameter.grad = None
        outcome = kinds, [p.tolist() for p in model.parameters()]
        whole = whole or outcome
    assert outcome == whole


def test_the_parameters_of_modules_are_those_of_parameters() -> None:
    """In their order and once each, also where modules share them, and as they are now."""
    shared = nn.Linear(2, 2)
    model = nn.Sequential(nn.Sequential(shared, nn.BatchNorm1d(2)), nn.Tanh(), shared)
    model.scale = nn.Parameter(torch.ones(()))
    model.tied = model.scale
    model.register_parameter("none", None)
    model.add_module("nothing", None)
    same = nn.ModuleList([model, shared])
    for change in (lambda: None, lambda: shared.weight.requires_grad_(False), grow(model)):
        change()
        expected = [p for p in same.parameters() if p.requires_grad]
        found = _trainable([model, shared])
        assert [id(p) for p in found] == [id(p) for p in expected]


def grow(model: nn.Sequential) -> Callable[[], Any]:
    return lambda: model.append(nn.Linear(2, 1))
