"""How geomloss is told to compute: the same values, whatever pykeops does or does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from geomloss import SamplesLoss
from torch import Tensor

from perceptrain import get_loss
from perceptrain.errors import ConfigError, MissingDependencyError, ShapeError
from perceptrain_distributions.backends import choose_backend

NAMES = {
    "sinkhorn": "sinkhorn",
    "energy": "energy",
    "gaussian_mmd": "gaussian",
    "laplacian_mmd": "laplacian",
}
#: Tells whether pykeops is installed.
FIND_SPEC = "perceptrain_distributions.backends.find_spec"
X, Y = torch.randn(30, 2), torch.rand(20, 2)


def test_auto_is_tensorized_where_only_that_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would choose pykeops by size, and fail."""
    monkeypatch.setattr(FIND_SPEC, lambda name: None)
    assert choose_backend("auto") == "tensorized"
    monkeypatch.setattr(FIND_SPEC, lambda name: object())
    assert choose_backend("auto") == "auto"
    assert choose_backend("auto", torch.cdist) == "tensorized"


@pytest.mark.parametrize("name", NAMES)
def test_without_pykeops_its_backends_are_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FIND_SPEC, lambda name: None)
    for backend in ("online", "multiscale"):
        with pytest.raises(MissingDependencyError, match=r"perceptrain-distributions\[keops\]"):
            get_loss(name, backend=backend)


@pytest.mark.parametrize("backend", ["online", "multiscale"])
@pytest.mark.parametrize(("name", "geomloss_name"), NAMES.items())
def test_with_pykeops_it_is_geomloss(name: str, geomloss_name: str, backend: str) -> None:
    pytest.importorskip("pykeops")
    x = X.clone().requires_grad_()
    loss = get_loss(name, backend=backend).distance(x, Y)
    expected = SamplesLoss(geomloss_name, backend=backend)(x, Y).squeeze()
    torch.testing.assert_close(loss, expected, rtol=0, atol=0)
    ours, theirs = torch.autograd.grad(loss, x)[0], torch.autograd.grad(expected, x)[0]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    torch.testing.assert_close(loss, get_loss(name).distance(x, Y), rtol=1e-2, atol=1e-3)
    with torch.no_grad():
        assert not get_loss(name, backend=backend).distance(x, Y).requires_grad


def test_a_formula_is_for_pykeops() -> None:
    pytest.importorskip("pykeops")
    ours = get_loss("sinkhorn", p=1, cost="Norm2(X-Y)", backend="online").distance(X, Y)
    torch.testing.assert_close(ours, get_loss("sinkhorn", p=1).distance(X, Y), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "keops"}, "backend='keops': expected 'auto', 'tensorized', 'online'"),
        ({"backend": None}, "backend=None"),
        ({"cost": "Norm2(X-Y)"}, "a formula, with backend='auto': expected a function"),
        ({"cost": torch.cdist, "backend": "online"}, "expected a pykeops formula"),
        ({"truncate": 0}, "truncate=0: expected a number above 0"),
        ({"cluster_scale": -1}, "cluster_scale=-1"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        get_loss("sinkhorn", **options)


def test_a_cost_of_the_wrong_shape_is_told() -> None:
    """With as many points in both, one without the batch would be broadcast, and be wrong."""

    def cost(x: Tensor, y: Tensor) -> Tensor:
        return (x[:, None] - y[None]).square().sum(-1)

    with pytest.raises(ShapeError, match=r"shape \(1, 1, 30\).*expected .* \(1, 30, 30\)"):
        get_loss("sinkhorn", cost=cost).distance(X, X + 1)
    with pytest.raises(ShapeError, match="object of type float"):
        get_loss("sinkhorn", cost=lambda x, y: 1.0).distance(X, Y)


def test_a_loss_with_a_cost_can_be_copied() -> None:
    loss_fn = get_loss("sinkhorn", cost=torch.cdist, p=1)
    assert copy.deepcopy(loss_fn).distance(X, Y) == loss_fn.distance(X, Y)
