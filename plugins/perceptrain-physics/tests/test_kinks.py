"""A warning if an activation such as ReLU makes higher derivatives zero."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN, TrainConfig, Trainer
from perceptrain_physics import MLP, div, grad, laplacian, partials

Equation = Callable[[Tensor, Any], Tensor]

SECOND: dict[str, Equation] = {
    "partials": lambda p, net: partials(net, p, "xx")[0] - 1,
    "mixed": lambda p, net: partials(net, p, "xy")[0] - 1,
    "third": lambda p, net: partials(net, p, "xxx")[0] - 1,
    "laplacian": lambda p, net: laplacian(net(p), p) - 1,
    "div": lambda p, net: div(grad(net(p), p), p) - 1,
    "grad": lambda p, net: grad(grad(net(p), p)[:, :1], p)[:, :1] - 1,
}


def warnings_of(network: nn.Module, equation: Equation, optimizer: str = "adam") -> list[str]:
    model = PINN(network, {"pde": equation})
    config = TrainConfig(max_iter=3, verbose=False, dtype="float64", val_every=1)
    points = {"pde": torch.rand(16, 2, dtype=torch.float64)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        Trainer(model, optimizer, config).fit([points], [points])
    return [str(each.message) for each in caught if "derivative" in str(each.message)]


@pytest.mark.parametrize("equation", SECOND.values(), ids=SECOND)
def test_relu_has_no_second_derivative(equation: Equation) -> None:
    (message,) = warnings_of(FFNN([2, 8, 1], "relu"), equation)
    assert "is 0 at all points, because its activation, ReLU, consists of" in message
    assert '"tanh"' in message


@pytest.mark.parametrize("optimizer", ["gauss_newton", "lbfgs"])
def test_it_is_said_once_with_any_optimizer(optimizer: str) -> None:
    assert len(warnings_of(MLP([2, 8, 1], "relu"), SECOND["laplacian"], optimizer)) == 1


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        (nn.LeakyReLU(), "leaky ReLU"),
        (nn.PReLU(), "PReLU"),
        (nn.RReLU(), "RReLU"),
        (nn.ReLU6(), "hardtanh or ReLU6"),
        (nn.Hardtanh(), "hardtanh or ReLU6"),
        (nn.Softshrink(), "softshrink"),
        (nn.Hardshrink(), "hardshrink"),
    ],
)
def test_other_straight_lines_are_named(activation: nn.Module, name: str) -> None:
    (message,) = warnings_of(FFNN([2, 8, 1], activation), SECOND["partials"])
    assert f"its activation, {name}, consists of" in message


@pytest.mark.parametrize("activation", ["tanh", "silu", "gelu", "elu", "softplus"])
@pytest.mark.parametrize("equation", SECOND.values(), ids=SECOND)
def test_smooth_activations_are_fine(activation: str, equation: Equation) -> None:
    assert not warnings_of(FFNN([2, 8, 1], activation), equation)


def test_other_zeros_and_first_derivatives_are_fine() -> None:
    straight: Equation = lambda p, net: laplacian(net(p), p) + net(p)  # noqa: E731
    assert not warnings_of(nn.Linear(2, 1), straight)
    assert not warnings_of(FFNN([2, 8, 1], "relu"), lambda p, net: grad(net(p), p) - 1)
    product = Product()  # its second derivative in x is not zero, in spite of ReLU
    assert not warnings_of(product, SECOND["partials"])


class Product(nn.Module):
    """A network times ``x^2``."""

    def __init__(self) -> None:
        super().__init__()
        self.network = FFNN([2, 8, 1], "relu")

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network(x) * x[:, :1] ** 2
        return out
