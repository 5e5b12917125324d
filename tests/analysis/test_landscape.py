from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._C._functorch import is_batchedtensor
from torch.nn import functional as F

from perceptrain import FFNN, PINN, GradWeightedLoss, get_parameters, set_parameters
from perceptrain.errors import LossContractError, TrainingError
from perceptrain_core.analysis.landscape import Landscape

Rows = tuple[Tensor, Tensor]


def mse(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    return F.mse_loss(model(batch[0]), batch[1]), {}


def regularised(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    size = sum(p.square().sum() for p in model.parameters())
    return mse(batch, model)[0] + size, {"size": size}


def only_trained(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    return mse(batch, model)[0] + get_parameters(model).square().sum(), {}


def differs_at_once(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    loss, metrics = mse(batch, model)
    return loss + float(is_batchedtensor(loss)), metrics


def looks_at_values(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    loss, metrics = mse(batch, model)
    return (loss if loss.item() < 1 else loss.sqrt()), metrics


class Moving(nn.Module):
    """A loss that keeps a mean of its values, as balancing schemes do."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.ones(()))

    def forward(self, batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        loss, metrics = mse(batch, model)
        self.mean.mul_(0.5).add_(0.5 * loss.detach())
        return loss / self.mean, metrics


def residual(x: Tensor, u: nn.Module) -> Tensor:
    (du,) = torch.autograd.grad(u(x).sum(), x, create_graph=True)
    return du + u(x)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(), nn.Linear(4, 1)
    )


def by_hand(model: nn.Module, loss_fn: Any, batch: Any, thetas: Tensor) -> Tensor:
    losses = []
    for theta in thetas:
        own, loss = copy.deepcopy(model).eval(), copy.deepcopy(loss_fn)
        set_parameters(own, theta)
        if isinstance(loss, nn.Module):
            loss.eval()
        losses.append(loss(batch, own)[0].detach())
    return torch.stack(losses)


@pytest.mark.parametrize(
    ("loss_fn", "batched"),
    [
        (mse, True),
        (regularised, True),
        (only_trained, True),
        (looks_at_values, False),
        (differs_at_once, False),
        (Moving(), False),
    ],
)
def test_equals_the_loss_with_these_parameters(rows: Rows, loss_fn: Any, batched: bool) -> None:
    model = network()
    landscape = Landscape(model, loss_fn, rows)
    thetas = landscape.theta + 0.3 * torch.randn(7, len(landscape.theta))
    losses = landscape(thetas)
    assert landscape.batched == batched
    assert not losses.requires_grad
    torch.testing.assert_close(losses, by_hand(model, loss_fn, rows, thetas))


def test_points_at_once_equal_points_one_by_one(rows: Rows) -> None:
    landscape = Landscape(network().double(), mse, [part.double() for part in rows])
    thetas = torch.randn(9, len(landscape.theta), dtype=torch.float64)
    together = landscape(thetas)
    landscape.batched = False
    torch.testing.assert_close(together, landscape(thetas))


@pytest.mark.parametrize("kind", ["mse", "weighted"])
def test_pinn(kind: str) -> None:
    torch.manual_seed(0)
    pinn = PINN(FFNN([1, 4, 1]), {"pde": residual, "start": lambda x, u: u(x) - 1})
    batch = {"pde": torch.rand(6, 1), "start": torch.zeros(1, 1)}

    def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        terms = {name: r.square().mean() for name, r in model(batch).items()}
        return torch.stack(list(terms.values())).sum(), terms

    loss: Any = GradWeightedLoss(fixed_metric="pde") if kind == "weighted" else loss_fn
    landscape = Landscape(pinn, loss, batch)
    thetas = torch.randn(3, len(landscape.theta))
    torch.testing.assert_close(landscape(thetas), by_hand(pinn, loss_fn, batch, thetas))


@pytest.mark.parametrize("loss_fn", [mse, looks_at_values, Moving()])
def test_nothing_is_changed(rows: Rows, loss_fn: Any) -> None:
    model = network()
    model[1].eval()
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    own = {id(p) for p in model.parameters()}
    landscape = Landscape(model, loss_fn, rows)
    landscape(torch.randn(3, len(landscape.theta)))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert {id(p) for p in model.parameters()} == own
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    if isinstance(loss_fn, Moving):
        assert loss_fn.mean == 1


def test_frozen_parameters_stay(rows: Rows) -> None:
    model = network()
    model[0].requires_grad_(False)
    landscape = Landscape(model, mse, rows)
    assert len(landscape.theta) == 8 + 5
    thetas = torch.randn(2, 13)
    torch.testing.assert_close(landscape(thetas), by_hand(model, mse, rows, thetas))


def test_shared_parameters_move_together(rows: Rows) -> None:
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(2, 1))
    landscape = Landscape(model, mse, rows)
    thetas = torch.randn(2, 6 + 3)
    torch.testing.assert_close(landscape(thetas), by_hand(model, mse, rows, thetas))


def test_what_cannot_be(rows: Rows) -> None:
    with pytest.raises(TrainingError, match="Tanh has no parameter"):
        Landscape(nn.Tanh(), mse, rows)
    landscape = Landscape(network(), lambda batch, model: mse(batch, model)[0], rows)
    with pytest.raises(LossContractError, match=r"returned a tensor of shape \(\)"):
        landscape(landscape.theta[None])


def test_error_of_the_loss_is_told_as_it_is(rows: Rows) -> None:
    def broken(batch: Rows, model: nn.Module) -> Any:
        raise LookupError("no such column")

    landscape = Landscape(network(), broken, rows)
    with pytest.raises(LookupError, match="no such column"):
        landscape(landscape.theta[None])
