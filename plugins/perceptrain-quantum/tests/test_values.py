"""The network beside closed forms, and beside pyqtorch called directly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyqtorch
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pyqtorch.composite.compose import hea
from torch import Tensor

from perceptrain import QNN, QuantumModel, get_model
from perceptrain_quantum import FeatureMapQNN

MODES = ("ad", "adjoint", "gpsr")
TEXT = ["Z0 Z2 - 0.5 * X1", "total_magnetization", "Y2"]


def by_hand(model: FeatureMapQNN, x: Tensor, angles: Tensor) -> Tensor:
    """What pyqtorch gives for ``TEXT``, with an ansatz and observables of its own making."""
    n = model.circuit.n_qubits
    operations: list[Any] = [pyqtorch.RX(qubit, f"x{qubit}") for qubit in range(n)]
    ansatz, _ = hea(n, model.depth, "theta")
    values = {f"theta_{i}": angle for i, angle in enumerate(angles.split(1))}
    values |= {f"x{qubit}": (qubit + 1) * x[:, 0] for qubit in range(n)}
    circuit = pyqtorch.QuantumCircuit(n, operations + list(ansatz))
    state = circuit.run(circuit.init_state(), values)
    z = [pyqtorch.Z(qubit) for qubit in range(n)]
    columns = [
        pyqtorch.Observable([pyqtorch.Sequence([z[0], z[2]])]).expectation(state)
        - 0.5 * pyqtorch.Observable(pyqtorch.X(1)).expectation(state),
        pyqtorch.Observable(z).expectation(state),
        pyqtorch.Observable(pyqtorch.Y(2)).expectation(state),
    ]
    return torch.stack(columns, dim=1)


@pytest.mark.slow
@pytest.mark.parametrize("diff_mode", MODES)
@pytest.mark.parametrize("depth", [1, 2])
def test_values_and_gradients_are_those_of_pyqtorch(depth: int, diff_mode: str) -> None:
    model = FeatureMapQNN(3, depth, observable=TEXT, diff_mode=diff_mode)
    x = torch.linspace(-2, 2, 7, dtype=torch.float64).unsqueeze(1)
    angles = model.angles.detach().clone().requires_grad_()
    expected = by_hand(model, x, angles)
    outputs = model(x)
    assert outputs.dtype is torch.float64
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    weights = torch.arange(1.0, 4.0, dtype=torch.float64)
    (got,) = torch.autograd.grad((outputs * weights).square().sum(), model.angles)
    (truth,) = torch.autograd.grad((expected * weights).square().sum(), angles)
    torch.testing.assert_close(got, truth, rtol=0, atol=1e-10)


def test_one_qubit_without_rotations_is_a_cosine() -> None:
    model = FeatureMapQNN(1, 1, observable=["Z0", "Y0", "X0"])
    torch.nn.init.zeros_(model.angles)
    x = torch.linspace(-3, 3, 11, dtype=torch.float64).unsqueeze(1)
    truth = torch.cat([x.cos(), -x.sin(), torch.zeros_like(x)], dim=1)
    torch.testing.assert_close(model(x), truth, rtol=0, atol=1e-12)


@given(st.integers(1, 3), st.integers(1, 2), st.sampled_from(["constant", "tower", "exponential"]))
def test_it_is_a_fourier_series_of_the_degree_that_the_map_gives(
    n_qubits: int, uploads: int, scaling: str
) -> None:
    model = FeatureMapQNN(n_qubits, 1, reupload_scaling=scaling, uploads=uploads)
    degree = (
        uploads
        * {
            "constant": n_qubits,
            "tower": n_qubits * (n_qubits + 1) // 2,
            "exponential": 2**n_qubits - 1,
        }[scaling]
    )
    points = 64
    x = torch.arange(points, dtype=torch.float64).unsqueeze(1) * (2 * math.pi / points)
    spectrum = np.fft.rfft(model(x).detach().numpy()[:, 0]) / points
    assert np.abs(spectrum[degree + 1 :]).max() < 1e-12
    assert np.abs(spectrum[: degree + 1]).max() > 1e-6


@given(st.integers(1, 3), st.sampled_from([None, (-1.0, 1.0), (2.0, 5.0)]))
def test_with_chebyshev_it_is_a_trigonometric_polynomial_of_arccos(
    n_qubits: int, feature_range: tuple[float, float] | None
) -> None:
    model = FeatureMapQNN(n_qubits, 1, feature_map="chebyshev", feature_range=feature_range)
    low, high = feature_range or (-1.0, 1.0)
    degree, points = n_qubits * (n_qubits + 1), 64
    theta = (torch.arange(points, dtype=torch.float64) + 0.5) * (math.pi / points)
    x = low + (theta.cos() + 1) / 2 * (high - low)
    outputs = model(x.unsqueeze(1)).detach().numpy()[:, 0]
    columns = [np.cos(k * theta.numpy()) for k in range(degree + 1)]
    columns += [np.sin(k * theta.numpy()) for k in range(1, degree + 1)]
    basis = np.stack(columns, axis=1)
    fitted = basis @ np.linalg.lstsq(basis, outputs, rcond=None)[0]
    np.testing.assert_allclose(fitted, outputs, atol=1e-10)


def test_features_go_to_their_own_qubits() -> None:
    model = FeatureMapQNN(4, 1, n_features=2, observable=["Z0", "Z1", "Z2", "Z3"])
    angles = model.feature_map.angles(torch.tensor([[0.1, 0.2]], dtype=torch.float64))
    torch.testing.assert_close(angles, torch.tensor([[0.1, 0.2, 0.2, 0.4]], dtype=torch.float64))
    assert model(torch.rand(5, 2)).shape == (5, 4)


def test_a_range_becomes_half_a_turn() -> None:
    model = FeatureMapQNN(1, 1, feature_range=(2, 4))
    torch.nn.init.zeros_(model.angles)
    x = torch.tensor([[2.0], [3.0], [4.0]], dtype=torch.float64)
    truth = torch.tensor([[0.0], [1.0], [0.0]], dtype=torch.float64)
    torch.testing.assert_close(model(x), truth, rtol=0, atol=1e-12)


def test_scaling_multiplies_and_shifts_each_output() -> None:
    model = FeatureMapQNN(2, 1, observable=["Z0", "Z1"], trainable_scaling=True)
    x = torch.rand(4, 1)
    plain = model(x)
    with torch.no_grad():
        model.scale.copy_(torch.tensor([2.0, 3.0]))
        model.shift.copy_(torch.tensor([0.5, -1.0]))
    truth = plain * torch.tensor([2.0, 3.0]).double() + torch.tensor([0.5, -1.0]).double()
    torch.testing.assert_close(model(x), truth)
    assert [p.requires_grad for p in model.parameters()] == [True] * 3
    fixed = FeatureMapQNN(2, 1)
    assert {name for name, p in fixed.named_parameters() if p.requires_grad} == {"angles"}


# Of torch, about how pyqtorch transposes and counts where it draws.
@pytest.mark.filterwarnings("ignore:The use of `x.T` on tensors:UserWarning")
@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
def test_draws_come_near_the_exact_values_and_train() -> None:
    exact = FeatureMapQNN(2, 1, observable=["Z0 Z1", "X0"])
    drawn = FeatureMapQNN(2, 1, observable=["Z0 Z1", "X0"], diff_mode="gpsr", n_shots=20_000)
    drawn.load_state_dict(exact.state_dict())
    x = torch.linspace(-1, 1, 5).unsqueeze(1)
    assert 0 < (drawn(x) - exact(x)).abs().max() < 0.05
    gradients = [torch.autograd.grad(m(x).square().mean(), m.angles)[0] for m in (drawn, exact)]
    assert 0 < (gradients[0] - gradients[1]).abs().max() < 0.1
    torch.manual_seed(1)
    first = drawn(x)
    torch.manual_seed(1)
    torch.testing.assert_close(drawn(x), first)


def test_the_name_gives_a_model_of_the_shared_base() -> None:
    model = get_model("qnn", n_qubits=2, depth=1)
    assert isinstance(model, FeatureMapQNN)
    assert isinstance(model, QNN)
    assert isinstance(model, QuantumModel)
    assert model.angles.dtype is torch.float64
    assert model.angles.shape == (6,)
    assert 0 <= model.angles.min() < model.angles.max() < 2 * math.pi
