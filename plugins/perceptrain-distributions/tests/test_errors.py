"""What cannot be is told, with what to do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import PerceptrainError, get_loss
from perceptrain.errors import DataError, ShapeError

NAN = float("nan")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sinkhorn", {"p": 3}, "p=3: expected 1 or 2, or a cost"),
        ("sinkhorn", {"p": True}, "expected 1 or 2"),
        ("sinkhorn", {"p": "2"}, "expected a number, not text"),
        ("sinkhorn", {"p": 0, "cost": torch.cdist}, "p=0: expected a number above 0"),
        ("sinkhorn", {"cost": "Norm2(X-Y)"}, "a function of two tensors"),
        ("sinkhorn", {"cost": 2.0}, "a function of two tensors"),
        ("sinkhorn", {"blur": 0}, "blur=0: expected a number above 0"),
        ("sinkhorn", {"blur": NAN}, "blur=nan"),
        ("sinkhorn", {"scaling": 1}, "scaling=1: expected a number above 0 and below 1"),
        ("sinkhorn", {"reach": -1.0}, "reach=-1.0"),
        ("sinkhorn", {"diameter": float("inf")}, "diameter=inf"),
        ("sinkhorn", {"debias": "no"}, "debias='no': expected true or false"),
        ("gaussian_mmd", {"blur": None}, "blur=None"),
        ("laplacian_mmd", {"blur": -0.1}, "blur=-0.1"),
    ],
)
def test_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(PerceptrainError, match=message):
        get_loss(name, **options)


def test_an_unknown_option_is_told_with_the_known_ones() -> None:
    with pytest.raises(PerceptrainError, match="debias"):
        get_loss("sinkhorn", debiased=True)


X, Y = torch.randn(4, 2), torch.randn(5, 2)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (X, r"a tensor of shape \(4, 2\).*expected \(inputs, points\)"),
        ((X, Y, Y), "a tuple of 3.*To pass weights, use the dict"),
        (None, "an object of type NoneType"),
        ({"inputs": X}, "lacks 'points'"),
        ({}, "lacks 'inputs', 'points'"),
        ({"inputs": X, "points": Y, "weight": 1}, "has unknown keys 'weight'"),
        ((X, Y.numpy()), "The target is an object of type ndarray"),
        (({"pde": X}, Y), "output is a dict with the keys 'pde'"),
        (({}, Y), "output is an empty dict"),
        ((X, Y.long()), "expected real coordinates"),
        ((torch.complex(X, X), Y), "view_as_real"),
        ((X, Y.double()), r"float32 and the target torch.float64.*points.to\(torch.float32\)"),
    ],
)
def test_batches(batch: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        get_loss("sinkhorn")(batch, nn.Identity())


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((4,), (5,)), r"shape \(4,\), the target \(5,\).*unsqueeze"),
        (((4, 2), (3, 5, 2)), "of both"),
        (((1, 1, 4, 2), (1, 1, 5, 2)), "of both"),
        (((4, 2), (5, 3)), "the same size of the last dimension"),
        (((2, 4, 2), (3, 5, 2)), "the same number of clouds"),
        (((0, 2), (5, 2)), "at least one point"),
        (((4, 2), (0, 2)), "at least one point"),
    ],
)
def test_shapes(shapes: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        get_loss("energy")(tuple(map(torch.ones, shapes)), nn.Identity())


@pytest.mark.parametrize(
    ("kind", "weights", "message"),
    [
        (DataError, [0.2] * 5, "'weights' is a list of 5"),
        (DataError, torch.ones(5) * 1j, "real numbers"),
        (ShapeError, torch.ones(4), r"'weights' has shape \(4,\).*of the target, \(5,\)"),
        (DataError, torch.tensor([1.0, 1, 1, -1, -1]), "must not be negative.*lowest is -1"),
        (DataError, torch.zeros(5), "or all 0 in a cloud"),
        (DataError, torch.full((5,), NAN), "NaN"),
        (DataError, torch.full((5,), float("inf")), "infinite"),
        (DataError, torch.ones(5), "total weight 1, the target 5.*use sinkhorn with a reach"),
    ],
)
@pytest.mark.parametrize("name", ["sinkhorn", "energy"])
def test_weights(name: str, kind: type[Exception], weights: Any, message: str) -> None:
    batch = {"inputs": X, "points": Y, "weights": weights}
    with pytest.raises(kind, match=message):
        get_loss(name)(batch, nn.Identity())


@pytest.mark.parametrize(
    ("name", "options"), [("sinkhorn", {"reach": 1.0}), ("gaussian_mmd", {}), ("laplacian_mmd", {})]
)
def test_total_weights_may_differ_where_that_means_something(
    name: str, options: dict[str, Any]
) -> None:
    loss, _ = get_loss(name, **options)(
        {"inputs": X, "points": Y, "weights": torch.ones(5, dtype=torch.int64)}, nn.Identity()
    )
    assert loss > 0


def test_the_weights_of_several_clouds_are_looked_at_one_by_one() -> None:
    clouds = {"inputs": torch.randn(2, 4, 2), "points": torch.randn(2, 4, 2)}
    weights = torch.tensor([[0.25], [0.5]]).expand(2, 4)
    with pytest.raises(DataError, match="weight 1, the target 2"):
        get_loss("energy")({**clouds, "weights": weights}, nn.Identity())
    ours, _ = get_loss("energy")(
        {**clouds, "weights": weights, "input_weights": weights}, nn.Identity()
    )
    assert ours.isfinite()
