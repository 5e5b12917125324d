"""The networks against their formulas."""

from __future__ import annotations

from math import pi

import pytest
import torch
from torch import Tensor, nn

from perceptrain import PerceptrainError, get_model
from perceptrain_physics import (
    MLP,
    FourierFeatures,
    HardBoundary,
    ModifiedMLP,
    Periodic,
    RandomWeightFactorization,
    Standardize,
    UnknownCoefficients,
    partials,
)

NETWORKS = [MLP, ModifiedMLP, FourierFeatures, RandomWeightFactorization]


def linear(model: nn.Module) -> list[nn.Linear]:
    return [module for module in model.modules() if isinstance(module, nn.Linear)]


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_is_trained_and_saved(kind: type[nn.Module]) -> None:
    model = kind([2, 8, 8, 1], "tanh", mean=[0.5, 0.0], deviation=[0.3, 2.0])
    x = torch.rand(16, 2)
    target = torch.sin(3 * x[:, :1])
    before = (model(x) - target).square().mean()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        loss = (model(x) - target).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < before / 5
    assert all(parameter.grad is not None for parameter in model.parameters())
    other = kind([2, 8, 8, 1])
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))
    (u_xx,) = partials(model.double(), x.double(), "xx")
    assert u_xx.dtype is torch.float64


@pytest.mark.parametrize(
    "name", ["mlp", "modified_mlp", "fourier_features", "random_weight_factorization"]
)
def test_networks_are_made_by_name_with_plain_options(name: str) -> None:
    options = {"layers": [2, 4, 4, 1], "activation_function": "silu", "deviation": 0.5}
    model = get_model({"name": name, **options, "xavier": False})
    assert model(torch.rand(3, 2)).shape == (3, 1)
    assert any(isinstance(module, nn.SiLU) for module in model.modules())


def test_inputs_are_standardised() -> None:
    x = torch.rand(5000, 2) * torch.tensor([2.0, 4.0]) - 1
    y = Standardize(2, mean=[0.0, 1.0], deviation=[2 / 12**0.5, 4 / 12**0.5])(x)
    torch.testing.assert_close(y.mean(0), torch.zeros(2), atol=0.05, rtol=0)
    torch.testing.assert_close(y.std(0), torch.ones(2), atol=0.05, rtol=0)


def test_the_start_is_that_of_xavier() -> None:
    first, *_, last = linear(MLP([2, 200, 200, 1]))
    assert first.weight.std().item() == pytest.approx((2 / 202) ** 0.5, rel=0.15)
    assert last.weight.std().item() == pytest.approx((2 / 201) ** 0.5, rel=0.15)
    assert not first.bias.any()
    assert linear(MLP([2, 200, 1], xavier=False))[0].bias.any()


def test_modified_mlp_is_that_of_the_paper() -> None:
    model = ModifiedMLP([2, 5, 5, 5, 1])
    for module in linear(model):
        nn.init.normal_(module.bias)
    x = torch.rand(7, 2)
    first, second, third, last = linear(model.network)
    u, v = (torch.tanh(module(x)) for module in linear(model.encoders))
    h = x
    for layer in (first, second, third):
        z = torch.tanh(h @ layer.weight.T + layer.bias)
        h = (1 - z) * u + z * v
    torch.testing.assert_close(model(x), h @ last.weight.T + last.bias)


def test_fourier_features_are_sines_of_fixed_frequencies() -> None:
    model = FourierFeatures([1, 4, 1], features=2000, scale=3.0)
    assert model.frequencies.std().item() == pytest.approx(3.0, rel=0.1)
    assert "frequencies" not in dict(model.named_parameters())
    seen: list[Tensor] = []
    model.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.rand(3, 1)
    model(x)
    angle = 2 * pi * x @ model.frequencies
    assert torch.equal(seen[0], torch.cat([torch.cos(angle), torch.sin(angle)], dim=1))


def test_factorised_weights_start_as_those_of_the_mlp() -> None:
    torch.manual_seed(3)
    plain = MLP([2, 40, 1])
    torch.manual_seed(3)
    model = RandomWeightFactorization([2, 40, 1], scale_mean=0.5)
    x = torch.rand(4, 2)
    torch.testing.assert_close(model(x), plain(x))
    scale = model.network.network[0].parametrizations.weight.original0
    assert scale.shape == (40, 1)
    assert scale.mean().item() == pytest.approx(0.5, abs=0.1)
    assert scale.std().item() == pytest.approx(0.1, rel=0.4)


def test_periodic_is_so_with_all_derivatives() -> None:
    model = Periodic({"name": "mlp", "layers": [3, 8, 1]}, periods=[0, 2.0]).double()
    left = torch.rand(5, 2, dtype=torch.float64)
    right = left + torch.tensor([0.0, 2.0])
    for order in ("", "x", "xx", "t"):
        values = [partials(model, x, order, names="tx")[0] for x in (left, right)]
        torch.testing.assert_close(*values, rtol=1e-10, atol=1e-12)
    assert not torch.allclose(model(left), model(left + torch.tensor([2.0, 0.0])))


def test_hard_boundary_values_are_exact() -> None:
    model = HardBoundary(
        MLP([2, 8, 1]),
        distance={"low": [0, -1], "high": [float("inf"), 1]},  # time, and a place
        value=lambda x: x[:, 1:] ** 2,
    )
    t, x = torch.rand(5, 1), 2 * torch.rand(5, 1) - 1
    for edge in (torch.cat([0 * t, x], 1), torch.cat([t, 1 + 0 * x], 1)):
        torch.testing.assert_close(model(edge), edge[:, 1:] ** 2)
    inside = torch.cat([t + 1, 0 * x], 1)
    torch.testing.assert_close(model(inside), (t + 1) * model.nn(inside))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP([2, 4, 1], deviation=0.0), "above 0"),
        (lambda: MLP([2, 4, 1], mean=[1.0, 2.0, 3.0]), "2 of them"),
        (lambda: MLP([2, 4, 1])(torch.rand(3, 1)), r"\(\.\.\., 2\)"),
        (lambda: ModifiedMLP([2, 4, 5, 1]), "same size"),
        (lambda: ModifiedMLP([2, 1]), "same size"),
        (lambda: FourierFeatures([2, 4, 1], features=3), "even number"),
        (lambda: FourierFeatures([2, 4, 1], features=2.0), "even number"),  # type: ignore[arg-type]
        (lambda: RandomWeightFactorization([2, 4, 1], scale_deviation=-1.0), "at least 0"),
        (lambda: MLP([2, 4, 1], mean="0"), "mean='0': expected one finite number"),
        (lambda: MLP([2, 4, 1], deviation=["1", "1"]), "expected one finite number, or 2"),
        (lambda: MLP([2, 4, 1], mean=None), "mean=None: expected one finite number"),
        (lambda: MLP([2, 4, 1], mean=[[0.0], [0.0, 1.0]]), "expected one finite number"),
        (lambda: MLP(2, 8, 1), r"MLP\(2, 8, 1\): expected .* one list, MLP\(\[2, 8, 1\]\)"),
        (lambda: MLP(2, 8), r"MLP\(\[2, 8\]\)"),
        (lambda: ModifiedMLP(2, 8, 1), "as one list"),
        (lambda: FourierFeatures(2, 8, 1), r"FourierFeatures\(\[2, 8, 1\]\)"),
        (lambda: RandomWeightFactorization(2, 8, 1), r"RandomWeightFactorization\(\[2, 8, 1\]\)"),
        (lambda: FourierFeatures([2, 4, 1], features="64"), "even number"),
        (lambda: FourierFeatures([2, 4, 1], scale="1"), "scale='1': expected a number above 0"),
        (lambda: RandomWeightFactorization([2, 4, 1], scale_mean="1"), "scale_mean='1': expected"),
        (lambda: RandomWeightFactorization([2, 4, 1], scale_deviation="1"), "of at least 0"),
        (lambda: Periodic(MLP([2, 4, 1]), 2.0), "periods=2.0: expected a period above 0"),
        (lambda: Periodic(MLP([2, 4, 1]), "2"), "periods='2': expected a period above 0"),
        (lambda: HardBoundary(MLP([2, 4, 1]), {"low": 0, "high": 1}), "for each coordinate"),
        (lambda: UnknownCoefficients(MLP([1, 4, 1]), ["k"]), r"\['k'\]: expected a dict"),
        (lambda: UnknownCoefficients(MLP([1, 4, 1]), {"k": "1"}), "initial value above 0"),
        (lambda: UnknownCoefficients(MLP([1, 4, 1]), {"k": float("inf")}), "initial value above 0"),
        (lambda: UnknownCoefficients(MLP([1, 4, 1]), {}), "initial value above 0"),
        (lambda: Periodic(MLP([2, 4, 1]), [None, None]), "at least one period"),
        (lambda: Periodic(MLP([2, 4, 1]), [2.0])(torch.rand(3, 2)), "each period"),
        (lambda: Periodic(MLP([2, 4, 1]), [float("inf")]), "at least one period"),
        (lambda: Periodic(MLP([2, 4, 1]), ["2"]), "at least one period"),  # type: ignore[list-item]
        (lambda: HardBoundary(MLP([2, 4, 1]), {"lo": [0.0], "high": [1.0]}), "low and high"),
        (
            lambda: HardBoundary(MLP([2, 4, 1]), {"low": [0], "high": [1]})(torch.rand(3, 2)),
            "The box has 1 coordinates, but the points have 2",
        ),
        (lambda: HardBoundary(MLP([2, 4, 1]), "x"), "a function of points"),  # type: ignore[arg-type]
        (lambda: HardBoundary(MLP([2, 4, 1]), {"low": [1.0], "high": [0.0]}), "below the upper"),
        (lambda: HardBoundary(MLP([2, 4, 1]), lambda x: x[:, 0])(torch.rand(3, 2)), "a row for"),
    ],
)
def test_what_cannot_be_is_told(make: object, message: str) -> None:
    with pytest.raises(PerceptrainError, match=message):
        make()  # type: ignore[operator]
