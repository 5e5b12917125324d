"""The Jacobian of residuals against torch.func, which differentiates in another way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vmap
from torch.nn import functional as F
from torch.nn.utils import prune

from perceptrain import FFNN, PINN
from perceptrain_core.least_squares.columns import Columns
from perceptrain_core.least_squares.jacobian import Products, fill_jacobian
from perceptrain_core.least_squares.traced_model import TracedModel

Derivatives = list[Tensor]


def jacobian(
    values: Callable[[], Tensor], model: nn.Module, others: list[Tensor] | None = None
) -> Tensor:
    """Return the Jacobian of values, after the steps that a stepper takes."""
    others = others or []
    columns = Columns([*(p for p in model.parameters() if p.requires_grad), *others])
    traced = TracedModel(model, columns.parameters)
    with traced.active(detach=True):
        constant = values()
    direct: list[Tensor] = []
    if constant.requires_grad:
        found = torch.autograd.grad(constant.sum(), columns.parameters, allow_unused=True)
        direct = [p for p, g in zip(columns.parameters, found, strict=True) if g is not None]
    traced.clear()
    with traced.active():
        out = values()
    matrix = torch.zeros(columns.number, out.numel(), dtype=out.dtype).T
    fill_jacobian(matrix, out, torch.ones_like(out), traced, columns, direct)
    return matrix


def row_by_row(values: Tensor, parameters: list[Tensor]) -> Tensor:
    """Return the Jacobian by one backward pass for each value."""
    columns = Columns(parameters)
    return torch.stack(
        [
            columns.flat(
                torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
            )
            for value in values.flatten()
        ]
    )


def derivatives(u: Tensor, x: Tensor, order: int) -> Derivatives:
    """Return u and its derivatives along the first coordinate, by autograd as users do."""
    found = [u]
    for _ in range(order):
        (g,) = torch.autograd.grad(found[-1].sum(), x, create_graph=True)
        found.append(g[:, :1])
    return found


@settings(max_examples=25)
@given(
    hidden=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    inputs=st.integers(1, 3),
    rows=st.integers(1, 9),
    order=st.integers(1, 3),
    activation=st.sampled_from(["tanh", "gelu", "silu", "softplus"]),
    seed=st.integers(0, 1000),
)
def test_equals_that_of_torch_func(
    hidden: list[int], inputs: int, rows: int, order: int, activation: str, seed: int
) -> None:
    torch.manual_seed(seed)
    network = FFNN([inputs, *hidden, 1], activation).double()
    x = torch.randn(rows, inputs, dtype=torch.float64)

    def equation(points: Tensor, u: Any) -> Tensor:
        d = derivatives(u(points), points, order)
        return d[0] * d[1] + d[-1] + u(points + 0.1) ** 2

    def at(parameters: dict[str, Tensor], point: Tensor) -> Tensor:
        def u(first: Tensor, shift: float = 0.0) -> Tensor:
            moved = torch.cat([first, point[1:]]) + shift
            return functional_call(network, parameters, (moved.unsqueeze(0),)).squeeze()

        d: list[Any] = [u]
        for _ in range(order):
            d.append(lambda first, f=d[-1]: grad(f)(first).squeeze())
        first = point[:1]
        return d[0](first) * d[1](first) + d[-1](first) + u(first, 0.1) ** 2

    own = {name: p.detach() for name, p in network.named_parameters()}
    truth = vmap(jacrev(at), (None, 0))(own, x)
    expected = torch.cat([truth[name].reshape(rows, -1) for name in own], 1)
    model = PINN(network, {"pde": equation})
    ours = jacobian(lambda: model({"pde": x})["pde"], model)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)


EQUATIONS: list[Callable[..., Tensor]] = [
    lambda x, u, k, g: g(g(u[:, 0])[:, -1])[:, :1] + k[0] * u[:, :1] * g(u[:, -1])[:, :1],
    lambda x, u, k, g: g((1 + k[0] ** 2 * x[:, 0]) * g(u[:, 0])[:, 0])[:, :1] + u * k[1],
    lambda x, u, k, g: torch.stack([u[:, 0] * u[:, -1], g(u[:, -1])[:, 0] * x[:, -1].sin()], 1),
    lambda x, u, k, g: torch.where(x[:, :1] > 0, g(g(u[:, 0])[:, 0])[:, -1:], k[1].exp() - u),
]


@settings(max_examples=20)
@given(st.sampled_from(EQUATIONS), st.integers(1, 3), st.integers(1, 3), st.integers(0, 1000))
def test_of_systems_equals_one_backward_pass_a_value(
    equation: Callable[..., Tensor], inputs: int, outputs: int, seed: int
) -> None:
    """Mixed derivatives, products of outputs, divergences, cases, and unknown coefficients."""
    torch.manual_seed(seed)
    network, x = FFNN([inputs, 5, 4, outputs]).double(), torch.randn(6, inputs).double()
    k = nn.Parameter(torch.randn(2).double())

    def residuals(x: Tensor, u: Any) -> Tensor:
        def g(values: Tensor) -> Tensor:
            return torch.autograd.grad(values.sum(), x, create_graph=True)[0]

        return equation(x, u(x), k, g)

    model = PINN(network, {"pde": residuals})
    expected = row_by_row(model({"pde": x})["pde"], [*model.parameters(), k])
    ours = jacobian(lambda: model({"pde": x})["pde"], model, [k])
    torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-12)


class Odd(nn.Module):
    """Modules of many kinds: mapped ones, a shared one, and a parameter of the model itself."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 6)
        self.norm = nn.LayerNorm(6)
        self.activation = nn.PReLU(6)
        self.shared = nn.Linear(6, 6, bias=False)
        self.scale = nn.Parameter(torch.tensor(1.3))
        self.last = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.activation(self.norm(self.first(x)))
        return self.scale * self.last(torch.tanh(self.shared(self.shared(h))))


class Keeper(nn.Module):
    """Keeps what it computed, which cannot outlive torch.vmap, in a buffer and an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
        self.register_buffer("mean", torch.zeros(3))
        self.last: Any = None

    def forward(self, x: Tensor) -> Tensor:
        self.last = (x * self.w).sin()
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        outputs: Tensor = self.last
        return outputs


class Cosine(torch.autograd.Function):
    """Computes its gradient outside of autograd, so that it is a constant for a second one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(x, w)
        return torch.sin(x * w)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, w = ctx.saved_tensors
        slope = torch.cos(x * w) * gradients[0]
        return slope * w, (slope * x).sum(0)


class Own(nn.Module):
    """A function with first derivatives only."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = Cosine.apply(x, self.w)
        return outputs


def models() -> list[Any]:
    torch.manual_seed(3)
    tokens = torch.randint(0, 5, (7, 4))
    images = torch.randn(7, 1, 6, 6).double()
    vectors = torch.randn(7, 3).double()
    convolution = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(32, 2))
    embedding = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(12, 1))
    padded = nn.Sequential(nn.Embedding(5, 3, padding_idx=1), nn.Flatten(), nn.Linear(12, 1))
    pruned = nn.Linear(3, 4)
    prune.random_unstructured(pruned, "weight", 0.4)
    tagger = [nn.Embedding(5, 3), nn.Linear(3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(24, 2)]
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
    batchwise = nn.Sequential(nn.Unflatten(1, (3, 1)), nn.Linear(1, 4), nn.Flatten(), nn.Tanh())
    return [
        pytest.param(Odd(), vectors, id="several kinds of modules"),
        pytest.param(convolution, images, id="convolution"),
        pytest.param(embedding, tokens, id="embedding"),
        pytest.param(padded, tokens, id="padding"),
        pytest.param(nn.Sequential(Keeper(), nn.Linear(3, 1)), vectors, id="tensors are kept"),
        pytest.param(nn.Sequential(Own(), nn.Linear(3, 2)), vectors, id="first derivatives only"),
        pytest.param(nn.Sequential(pruned, nn.Tanh(), nn.Linear(4, 1)), vectors, id="pruned"),
        pytest.param(nn.Linear(3, 2), vectors, id="the model is one layer"),
        pytest.param(nn.Sequential(normed, nn.Tanh(), nn.Linear(4, 1)), vectors, id="weight_norm"),
        pytest.param(batchwise, vectors, id="three dimensions"),
        pytest.param(nn.Sequential(*tagger), tokens.repeat(1, 3), id="12 uses of a layer"),
        pytest.param(nn.Bilinear(3, 3, 2), vectors, id="bilinear"),
        pytest.param(nn.MultiheadAttention(3, 1, batch_first=True), vectors, id="attention"),
        pytest.param(nn.LSTM(3, 2, batch_first=True), vectors.unsqueeze(1), id="lstm"),
    ]


def outputs(model: nn.Module, x: Tensor) -> Tensor:
    if isinstance(model, nn.Bilinear):
        return model(x, x.flip(1))
    if isinstance(model, nn.MultiheadAttention):
        rows = x.unsqueeze(1).expand(-1, 2, -1) * torch.tensor([[[1.0], [2.0]]]).to(x)
        return model(rows, rows, rows, need_weights=False)[0]
    result = model(x)
    return result[0] if isinstance(result, tuple) else result


@pytest.mark.parametrize(("model", "x"), models())
def test_of_any_module_equals_one_backward_pass_a_value(model: nn.Module, x: Tensor) -> None:
    model = model.double()
    expected = row_by_row(outputs(model, x), [*model.parameters()])
    before = {name: dict(module.__dict__) for name, module in model.named_modules()}
    ours = jacobian(lambda: outputs(model, x), model)
    torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-13)
    after = {name: module.__dict__ for name, module in model.named_modules()}
    assert all(before[name].keys() == after[name].keys() for name in before)


def test_outputs_that_are_changed_in_place_are_computed_again() -> None:
    model, x = FFNN([3, 4, 1]).double(), torch.randn(5, 3, dtype=torch.float64)
    pinn, traced = PINN(model, {"pde": lambda x, u: u(x)}), TracedModel(model, model.parameters())
    expected = model(x)
    with traced.active():
        assert model(x) is model(x)
        model(x).mul_(2)
        torch.testing.assert_close(model(x), expected)
        with torch.no_grad():
            assert not model(x).requires_grad
        assert model(x).requires_grad
    points = {"pde": x}
    with TracedModel(pinn, pinn.parameters()).active():
        pinn(points).clear()
        torch.testing.assert_close(pinn(points)["pde"], expected)
        x += 1
        assert not torch.allclose(pinn(points)["pde"], expected)


def test_frozen_parameters_have_no_columns() -> None:
    model = FFNN([2, 4, 1]).double()
    for p in model.network[0].parameters():
        p.requires_grad_(False)
    x = torch.randn(5, 2, dtype=torch.float64)
    expected = row_by_row(model(x), [*model.network[2].parameters()])
    torch.testing.assert_close(jacobian(lambda: model(x), model), expected)


def test_of_coefficients_and_of_terms_over_all_points() -> None:
    torch.manual_seed(0)
    network = FFNN([1, 5, 1]).double()
    k = nn.Parameter(torch.tensor([0.7, -0.2], dtype=torch.float64))

    def equation(t: Tensor, u: Any) -> Tensor:
        d = derivatives(u(t), t, 2)
        return d[2] + k[0] * d[1] + k[1] ** 2 * d[0]

    def integral(t: Tensor, u: Any) -> Tensor:
        return u(t).mean().reshape(1) - k.sum()

    model = PINN(network, {"ode": equation, "integral": integral})
    batch = {
        name: torch.rand(n, 1, dtype=torch.float64) for name, n in (("ode", 9), ("integral", 6))
    }
    parameters = [*model.parameters(), k]
    for name in batch:
        expected = row_by_row(model(batch)[name], parameters)
        ours = jacobian(lambda name=name: model(batch)[name], model, [k])  # type: ignore[misc]
        torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-13)


def test_products_are_those_with_the_matrix() -> None:
    torch.manual_seed(0)
    model = FFNN([2, 6, 3]).double()
    x, factor = torch.randn(8, 2).double(), torch.rand(24).double()
    columns = Columns(model.parameters())
    matrix = factor.unsqueeze(1) * row_by_row(model(x), columns.parameters)
    products = Products(model(x).flatten(), factor, columns)
    u, v = torch.randn(columns.number).double(), torch.randn(24).double()
    torch.testing.assert_close(products.times(u), matrix @ u)
    torch.testing.assert_close(products.transposed_times(v), matrix.T @ v)


def test_a_model_that_raises_gets_its_forwards_back() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(3, 1))
    traced = TracedModel(model, model.parameters())
    with pytest.raises(RuntimeError), traced.active():
        model(torch.ones(4, 2))
    assert "forward" not in model[0].__dict__
    assert torch.equal(
        model[0](torch.ones(1, 2)), F.linear(torch.ones(1, 2), *model[0].parameters())
    )
