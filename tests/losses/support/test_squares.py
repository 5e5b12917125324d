"""Losses that say what they are sums of squares of, and those that are not."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import FFNN, PINN, GradWeightedLoss, WeightedLoss, get_loss, supervised
from perceptrain.errors import LossContractError
from perceptrain.types import LeastSquaresLoss
from perceptrain_core.losses.support.squares import residuals_of


def labelled(weights: bool = False) -> Any:
    torch.manual_seed(1)
    batch = torch.randn(6, 2).double(), torch.randn(6, 3).double()
    return (*batch, torch.rand(6).double()) if weights else batch


def network() -> nn.Module:
    torch.manual_seed(2)
    return FFNN([2, 4, 3]).double()


def points() -> dict[str, Tensor]:
    torch.manual_seed(3)
    return {"pde": torch.rand(7, 2).double(), "start": torch.rand(4, 2).double()}


def pinn() -> PINN:
    torch.manual_seed(4)
    return PINN(
        FFNN([2, 4, 1]).double(), {"pde": lambda x, u: u(x) ** 2 - 1, "start": lambda x, u: u(x)}
    )


def sum_of_squares(loss_fn: Any, batch: Any, model: nn.Module) -> Tensor:
    terms = residuals_of(loss_fn, batch, model)
    return torch.stack([(scale * v.square()).sum() for v, scale in terms.values()]).sum()


LABELLED = [
    pytest.param(get_loss("mse"), False, id="mse"),
    pytest.param(get_loss("mse", reduction="sum"), False, id="mse, sum"),
    pytest.param(get_loss("mse"), True, id="mse with sample weights"),
    pytest.param(get_loss("mse", reduction="sum"), True, id="mse, sum, with sample weights"),
    pytest.param(supervised(nn.MSELoss()), False, id="nn.MSELoss"),
    pytest.param(supervised(nn.MSELoss(reduction="sum")), False, id="nn.MSELoss, sum"),
    pytest.param(supervised(F.mse_loss), False, id="F.mse_loss"),
    pytest.param(supervised(partial(F.mse_loss, reduction="sum")), False, id="F.mse_loss, sum"),
]


@pytest.mark.parametrize(("loss_fn", "weights"), LABELLED)
def test_the_squares_of_labels_sum_up_to_the_loss(loss_fn: Any, weights: bool) -> None:
    batch, model = labelled(weights), network()
    torch.testing.assert_close(sum_of_squares(loss_fn, batch, model), loss_fn(batch, model)[0])


def test_rows_of_no_weight_count_for_nothing() -> None:
    x, y = labelled()
    batch = x, y, torch.zeros(6).double()
    assert sum_of_squares(get_loss("mse"), batch, network()).item() == 0


ON_POINTS = [
    pytest.param(get_loss("mse"), id="mse"),
    pytest.param(get_loss("mse", reduction="sum"), id="mse, sum"),
    pytest.param(supervised(nn.MSELoss()), id="nn.MSELoss"),
    pytest.param(WeightedLoss("mse", {"name": "fixed", "weights": {"start": 7.0}}), id="fixed"),
    pytest.param(WeightedLoss("mse", "relobralo"), id="relobralo"),
    pytest.param(WeightedLoss("mse", "ntk"), id="ntk"),
    pytest.param(WeightedLoss(get_loss("mse", reduction="sum"), "softadapt"), id="softadapt"),
    pytest.param(GradWeightedLoss(fixed_metric="pde"), id="GradWeightedLoss"),
]


@pytest.mark.parametrize("loss_fn", ON_POINTS)
def test_the_squares_of_points_sum_up_to_the_loss(loss_fn: Any) -> None:
    batch, model = points(), pinn()
    for _ in range(2):
        loss, _ = loss_fn(batch, model)
        terms = residuals_of(loss_fn, batch, model)
        assert [*terms] == ["pde", "start"]
        torch.testing.assert_close(sum_of_squares(loss_fn, batch, model), loss)


def test_residuals_change_no_weights() -> None:
    loss_fn, batch, model = WeightedLoss("mse", "relobralo"), points(), pinn()
    loss_fn(batch, model)
    before = loss_fn.metric_weights
    residuals_of(loss_fn, batch, model)
    assert loss_fn.metric_weights == before


NO_SQUARES = [
    pytest.param("l1", labelled, "l1_loss has no residuals", id="l1"),
    pytest.param("huber", labelled, "huber_loss has no residuals", id="huber"),
    pytest.param("cross_entropy", labelled, "cross_entropy_loss has no residuals", id="ce"),
    pytest.param("relative_l2", labelled, "relative_l2_loss has no residuals", id="relative_l2"),
    pytest.param("gaussian_nll", labelled, "gaussian_nll_loss has no residuals", id="nll"),
    pytest.param(supervised(nn.L1Loss()), labelled, "L1Loss has no residuals", id="nn.L1Loss"),
    pytest.param(WeightedLoss("l1", "relobralo"), points, "l1_loss has no", id="weighted l1"),
    pytest.param(WeightedLoss("mse", "uncertainty"), points, "Uncertainty: use", id="uncertainty"),
]


@pytest.mark.parametrize(("loss_fn", "batch", "message"), NO_SQUARES)
def test_other_losses_are_refused(loss_fn: Any, batch: Any, message: str) -> None:
    loss = get_loss(loss_fn) if isinstance(loss_fn, str) else loss_fn
    model = network() if batch is labelled else pinn()
    with pytest.raises(LossContractError, match=message) as caught:
        residuals_of(loss, batch(), model)
    assert "Use mse" in str(caught.value)


class Own:
    """A loss of a user's own, with residuals of some form."""

    def __init__(self, found: Any) -> None:
        self.found = found

    def __call__(self, batch: Any, model: nn.Module) -> Any:
        return model(batch).square().sum(), {}

    def residuals(self, batch: Any, model: nn.Module) -> Any:
        return self.found


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (torch.ones(3), "returned a tensor"),
        ({}, "at least one term"),
        ({"a": torch.ones(3)}, "for the term 'a'"),
        ({"a": (torch.ones(3), -1.0)}, "at least 0"),
        ({"a": (torch.ones(3), torch.ones(3, requires_grad=True))}, "without a graph"),
    ],
)
def test_residuals_of_another_form_are_refused(found: Any, message: str) -> None:
    with pytest.raises(LossContractError, match=message):
        residuals_of(Own(found), None, nn.Linear(1, 1))


def test_a_loss_with_residuals_keeps_the_protocol() -> None:
    assert isinstance(Own({}), LeastSquaresLoss)
    assert isinstance(get_loss("mse"), LeastSquaresLoss)
    assert not isinstance(get_loss("l1"), LeastSquaresLoss)
