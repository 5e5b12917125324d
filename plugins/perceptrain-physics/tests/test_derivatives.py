"""Derivatives against closed forms."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from perceptrain import FFNN, PINN, PerceptrainError, get_loss
from perceptrain_physics import div, grad, laplacian, partials

numbers = st.floats(-2, 2)
powers = st.integers(0, 4)


def points(n: int = 6, d: int = 2) -> Tensor:
    return (2 * torch.rand(n, d, dtype=torch.float64) - 1).requires_grad_()


def power(x: Tensor, p: int, order: int) -> Tensor:
    """The derivative of x^p."""
    factor = 1.0
    for k in range(order):
        factor *= p - k
    return factor * x ** max(p - order, 0)


@given(a=numbers, b=numbers, p=powers, q=powers)
def test_polynomials_and_sines(a: float, b: float, p: int, q: int) -> None:
    x = points()
    s, t = x[:, :1], x[:, 1:]

    def field(x: Tensor) -> Tensor:
        s, t = x[:, :1], x[:, 1:]
        return s**p * t**q + torch.sin(a * s + b * t)

    sine, cosine = torch.sin(a * s + b * t), torch.cos(a * s + b * t)
    closed = {
        "": field(x),
        "x": power(s, p, 1) * t**q + a * cosine,
        "y": s**p * power(t, q, 1) + b * cosine,
        "xx": power(s, p, 2) * t**q - a * a * sine,
        "xy": power(s, p, 1) * power(t, q, 1) - a * b * sine,
        "yy": s**p * power(t, q, 2) - b * b * sine,
        "xyy": power(s, p, 1) * power(t, q, 2) - a * b * b * cosine,
    }
    for order, value in zip(closed, partials(field, x, *closed), strict=True):
        torch.testing.assert_close(value, closed[order], rtol=1e-12, atol=1e-12, msg=order)
    gradient = torch.cat([closed["x"], closed["y"]], dim=1)
    torch.testing.assert_close(grad(field(x), x), gradient, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        laplacian(field(x), x), closed["xx"] + closed["yy"], rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(
        div(x**2 * a + x.flip(1), x), 2 * a * (s + t), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_shapes(shape: tuple[int, ...]) -> None:
    x = points()
    u = x.square().sum(1).reshape(shape)
    assert grad(u, x).shape == (6, 2)
    assert torch.equal(laplacian(u, x), torch.full((6, 1), 4.0, dtype=torch.float64))
    assert torch.equal(laplacian(u, x, axes=[1]), torch.full((6, 1), 2.0, dtype=torch.float64))


def test_a_line_is_its_own_divergence() -> None:
    x = points(d=1)
    torch.testing.assert_close(div(x**3, x), 3 * x**2)


def test_axes_may_be_counted_from_the_end() -> None:
    x = points()
    u = (x**2 * torch.tensor([1.0, 5.0], dtype=x.dtype)).sum(1)
    torch.testing.assert_close(laplacian(u, x, axes=(-1,)), torch.full_like(x[:, :1], 10.0))
    torch.testing.assert_close(laplacian(u, x, axes=(0, -1)), laplacian(u, x))


def test_constant_derivatives_are_zero_and_not_an_error() -> None:
    x = points()
    assert torch.equal(laplacian(x[:, 0] + 1, x), torch.zeros(6, 1, dtype=torch.float64))
    u_xx, u_yyy = partials(lambda x: x[:, :1], x, "xx", "yyy")
    assert torch.equal(u_xx, torch.zeros_like(u_xx))
    assert torch.equal(u_yyy, torch.zeros_like(u_yyy))


def test_training_goes_through_them() -> None:
    """The gradient of a residual, against finite differences in the parameters."""
    net = FFNN([2, 6, 1]).double()
    x = points().detach()
    weight = net.network[0].weight

    def loss() -> Tensor:
        u, u_t, u_xx = partials(net, x, "", "t", "xx", names=("t", "x"))
        return (u_t - u_xx + u**3).square().mean()

    (slope,) = torch.autograd.grad(loss(), weight)
    eps = 1e-6
    for row, column in ((0, 0), (3, 1)):
        with torch.no_grad():
            weight[row, column] += eps
            above = loss()
            weight[row, column] -= 2 * eps
            difference = (above - loss()) / (2 * eps)
            weight[row, column] += eps
        torch.testing.assert_close(slope[row, column], difference, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_validation_gives_the_same_numbers_without_a_graph(mode: type) -> None:
    net = FFNN([2, 6, 1])
    x = torch.rand(5, 2)
    u_x, u_yy = partials(net, x, "x", "yy")
    assert u_x.requires_grad
    assert not x.requires_grad
    with mode():
        values = partials(net, x, "x", "yy")
    assert not any(value.requires_grad for value in values)
    for value, expected in zip(values, (u_x, u_yy), strict=True):
        assert torch.equal(value, expected)


def test_a_pinn_is_written_with_them() -> None:
    model = PINN(
        FFNN([2, 6, 1]),
        {
            "pde": lambda x, net: laplacian(net(x), x) - grad(net(x), x)[:, :1],
            "side": lambda x, net: partials(net, x, "y")[0],
        },
    )
    batch = {"pde": torch.rand(4, 2), "side": torch.rand(3, 2)}
    loss, terms = get_loss("mse")(batch, model)
    loss.backward()
    with torch.no_grad():
        again, _ = get_loss("mse")(batch, model)
    assert torch.equal(loss, again)
    assert set(terms) == {"pde", "side"}


def test_only_what_is_asked_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = torch.autograd.grad

    def counted(*args: object, **options: object) -> object:
        calls.append(args)
        return original(*args, **options)

    monkeypatch.setattr(torch.autograd, "grad", counted)
    net, x = FFNN([3, 6, 1]), torch.rand(4, 3)
    for orders, expected in [
        (("",), 0),
        (("x", "y"), 1),
        (("xx",), 2),
        (("x", "xx", "xy"), 2),
        (("xy", "yx", "yy"), 2),
        (("xx", "yy", "zz"), 4),
    ]:
        calls.clear()
        partials(net, x, *orders)
        assert len(calls) == expected, orders


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: grad(x, x), "one by one"),
        (lambda x: grad(x[:, 0], x[:, 0]), r"unsqueeze"),
        (lambda x: grad(torch.ones(6), x), "has no graph"),
        (lambda x: grad((2 * x)[:, 0], x.detach()), "does not require gradients"),
        (lambda x: grad(x[:, 0], x.clone()), "from this very tensor"),
        (lambda x: div(x[:, :1], x), r"\(6, 2\)"),
        (lambda x: laplacian((x**2).sum(1), x, axes=(2,)), "numbers from 0 to 1"),
        (lambda x: laplacian((x**2).sum(1), x, axes=()), "one or more coordinates"),
        (lambda x: laplacian((x**2).sum(1), x, axes=1), "one or more coordinates"),
        (lambda x: laplacian((x**2).sum(1), x, axes="x"), "axes='x': expected one or more coord"),
        (lambda x: laplacian((x**2).sum(1), x, axes=("x",)), "one or more coordinates"),
        (lambda x: laplacian((x**2).sum(1), x, axes=(0.5,)), "one or more coordinates"),
        (lambda x: partials(lambda x: x, x, "x"), "several outputs"),
        (lambda x: partials(lambda x: x[:, 0], x, "t", names=("t", "x", "y")), "each of the 2"),
        (lambda x: partials(lambda x: x[:, 0], x, "x", names="xyz"), "each of the 2"),
        (lambda x: partials(lambda x: x[:, 0], x, "x", names=3), "each of the 2"),
        (lambda x: partials(lambda x: x[:, 0], points(d=4), "x"), "each of the 4"),
        (lambda x: partials(lambda x: x[:, 0], x, "xt"), "coordinates are x, y"),
        (lambda x: partials(lambda x: x[:, 0], x, "x", names=("x",)), "each of the 2"),
        (lambda x: partials(lambda x: x[:, 0], x.long(), "x"), "floats"),
    ],
)
def test_what_cannot_be_is_told(call: object, message: str) -> None:
    with pytest.raises(PerceptrainError, match=message):
        call(points())  # type: ignore[operator]
