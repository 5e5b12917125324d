"""Mistakes in the equations of a PINN, in a training."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from perceptrain import FFNN, PINN, TrainConfig, Trainer
from perceptrain.errors import ConfigError, DataError

Equation = Callable[[Tensor, Any], Any]


def train(equation: Equation, points: int = 4) -> None:
    torch.manual_seed(0)
    model = PINN(FFNN([1, 4, 1]), {"ode": equation})
    config = TrainConfig(max_iter=2, verbose=False)
    Trainer(model, "adam", config, "mse").fit([{"ode": torch.rand(points, 1)}])


def slope(t: Tensor, net: Any, **options: Any) -> tuple[Tensor, ...]:
    return torch.autograd.grad(net(t).sum(), t, **options)


def test_a_right_equation_is_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(lambda t, net: slope(t, net, create_graph=True)[0] + net(t))
        train(lambda t, net: torch.autograd.grad([net(t).sum()], [t], None, True, True)[0])
        train(lambda t, net: torch.cat([net(t), net(t)], 1))
        train(lambda t, net: torch.cat([net(t), net(t) - 1]))  # two conditions, stacked
        train(lambda t, net: net(t).sum(), points=1)


@pytest.mark.parametrize("options", [{}, {"retain_graph": True}, {"create_graph": False}])
def test_a_derivative_that_counts_as_a_constant(options: dict[str, bool]) -> None:
    with pytest.warns(
        UserWarning, match="The equation 'ode' calls torch.autograd.grad without"
    ) as w:
        train(lambda t, net: slope(t, net, **options)[0] + net(t))
    assert len(w) == 1


def test_the_graph_of_a_derivative_is_gone() -> None:
    def ode(t: Tensor, net: Any) -> Tensor:
        u = net(t)
        return torch.autograd.grad(u.sum(), t)[0] + u

    with pytest.warns(UserWarning, match="without"), pytest.raises(RuntimeError) as raised:
        train(ode)
    assert "pass create_graph=True there" in " ".join(raised.value.__notes__)


@pytest.mark.parametrize(
    ("equation", "shape"),
    [
        (lambda t, net: net(t).square().mean(), r"\(\)"),
        (lambda t, net: net(t)[:2], r"\(2, 1\)"),
        (lambda t, net: net(t).T, r"\(1, 4\)"),
    ],
)
def test_a_residual_without_a_row_for_each_point(equation: Equation, shape: str) -> None:
    with pytest.warns(UserWarning, match=f"residual of shape {shape} for 4 points; expected") as w:
        train(equation)
    assert len(w) == 1


@pytest.mark.parametrize(
    ("equation", "note"),
    [
        (lambda t, net: slope(t, net, create_graph=True) + net(t), "take its first element"),
        (lambda t, net: slope(t, net, create_graph=True) - net(t), "take its first element"),
        (lambda net, t: net(t), r"equation(points, network)"),
    ],
)
def test_advice_on_errors_of_python(equation: Equation, note: str) -> None:
    with pytest.raises(TypeError) as raised:
        train(equation)
    notes = " ".join(raised.value.__notes__)
    assert "This was the equation 'ode'." in notes
    assert note in notes
    assert "dict batch" not in notes


@pytest.mark.filterwarnings("ignore:Converting a tensor")
def test_functions_of_math() -> None:
    with pytest.raises(ValueError, match="Python scalars") as raised:
        train(lambda t, net: net(t) * math.sin(t))  # type: ignore[arg-type]
    assert "use those of torch, such as torch.sin" in " ".join(raised.value.__notes__)


def test_backward_adds_to_the_gradients() -> None:
    def ode(t: Tensor, net: Any) -> Any:
        u = net(t)
        u.sum().backward(retain_graph=True)
        return t.grad + u

    with pytest.raises(DataError, match="'ode' calls backward, which adds to the gradients"):
        train(ode)


def test_a_comparison_is_no_residual() -> None:
    with pytest.raises(DataError, match=r"expected its residual, .*floats\. Return a diff"):
        train(lambda t, net: net(t) == 1)


@pytest.mark.parametrize("name", [0, "", None])
def test_an_equation_without_a_name(name: Any) -> None:
    with pytest.raises(ConfigError, match=r"An equation is named .*; expected a text"):
        PINN(FFNN([1, 1]), {name: lambda t, net: net(t)})


def test_no_data() -> None:
    model = PINN(FFNN([1, 4, 1]), {"ode": lambda t, net: net(t)})
    with pytest.raises(DataError, match=r"There are no data: .* fit\(\[points\]\) for a PINN"):
        Trainer(model, "adam", TrainConfig(max_iter=1, verbose=False), "mse").fit()
