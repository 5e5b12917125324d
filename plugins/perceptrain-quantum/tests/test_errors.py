"""What cannot be is told, with what was given and what to do."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from perceptrain.errors import ConfigError, DataError, ShapeError
from perceptrain_quantum import FeatureMapQNN, observable


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_qubits": 0}, "n_qubits=0: expected a whole number above 0"),
        ({"depth": 1.5}, "depth=1.5"),
        ({"uploads": True}, "uploads=True"),
        ({"n_features": 5}, "n_features=5 and n_qubits=4: expected at least one"),
        ({"feature_map": "fourrier"}, "feature_map='fourrier': expected 'fourier' or 'chebyshev'"),
        ({"reupload_scaling": "exp"}, "expected 'constant', 'tower' or 'exponential'"),
        ({"feature_range": (1, 1)}, r"feature_range=\(1, 1\): expected two numbers"),
        ({"feature_range": (1, float("inf"))}, "expected two numbers"),
        ({"feature_range": "ab"}, "feature_range='ab'"),
        ({"feature_range": 3}, "feature_range=3"),
        ({"diff_mode": "adjiont"}, "diff_mode='adjiont': expected 'ad', 'adjoint', 'gpsr'"),
        ({"n_shots": 0, "diff_mode": "gpsr"}, "n_shots=0: expected a whole number above 0"),
        ({"n_shots": 100}, "n_shots=100 with diff_mode='ad': sampled values have no derivative"),
        ({"observable": 3}, 'observable=3: expected "total_magnetization"'),
        ({"observable": []}, r"observable=\[\]"),
        ({"observable": ""}, "cannot be parsed from ''"),
        ({"observable": "Z"}, "cannot be parsed from 'Z'"),
        ({"observable": "Z0 + W1"}, r"cannot be parsed from '\+ W1'"),
        ({"observable": "0.5"}, "cannot be parsed"),
        ({"observable": "X0 Y0"}, "'X0 Y0' names a qubit twice"),
        ({"observable": ["Z0", "Z4"]}, "'Z4' acts on qubit 4; the circuit has 4, numbered from 0"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FeatureMapQNN(**options)


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (torch.rand(5), ShapeError, r"shape \(5,\); expected \(N, 1\).* x\.unsqueeze\(-1\)"),
        (torch.rand(5, 2), ShapeError, r"shape \(5, 2\); expected \(N, 1\)"),
        (torch.rand(0, 1), ShapeError, "at least one point, and a column"),
        ((torch.rand(5, 1),), DataError, "got tuple; expected real numbers"),
        (torch.rand(5, 1).cfloat(), DataError, "got a torch.complex64 tensor"),
    ],
)
def test_inputs_that_cannot_be(inputs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        FeatureMapQNN(2, 1)(inputs)


@pytest.mark.parametrize("x", [1.5, float("nan")])
def test_chebyshev_takes_no_value_outside(x: float) -> None:
    model = FeatureMapQNN(2, 1, feature_map="chebyshev")
    with pytest.raises(DataError, match=r"out of range, or NaN. Expected .* -1 and 1; set"):
        model(torch.tensor([[0.0], [x]]))


def test_chebyshev_has_ends_but_no_derivative_there() -> None:
    model = FeatureMapQNN(2, 1, feature_map="chebyshev", feature_range=(0, 2))
    x = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    assert model(x).isfinite().all()
    with pytest.raises(DataError, match="at an end of the range, where arccos has no derivative"):
        model(x.requires_grad_())


def test_adjoint_says_that_it_has_no_second_derivatives() -> None:
    model = FeatureMapQNN(2, 1, diff_mode="adjoint")
    x = torch.rand(3, 1, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(model(x).sum(), x)
    assert first.isfinite().all()
    with pytest.raises(ConfigError, match=r'"adjoint" gives first derivatives only.*="ad"'):
        torch.autograd.grad(model(x).sum(), x, create_graph=True)


def test_half_precision_is_refused() -> None:
    model = FeatureMapQNN(2, 1).to(torch.bfloat16)
    with pytest.raises(ConfigError, match=r"simulated in torch\.bfloat16; expected float64 or flo"):
        model(torch.rand(3, 1))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Z0", [1.0, 0.0]),
        ("-Z0", [-1.0, 0.0]),
        ("2.5 Z1 - .5*Z0 @ Z1 + 1e-1 * Z0 * Z1", [2.5 - 0.5 + 0.1, 0.0]),
        ("X0 + Y1 + 3 I0", [3.0, 0.0]),
        (" total_magnetization ", [2.0, 0.0]),
    ],
)
def test_texts_that_can_be_read(text: str, values: list[float]) -> None:
    state = torch.zeros(2, 2, 1, dtype=torch.complex128)
    state[0, 0] = 1
    assert observable(text, n_qubits=2).expectation(state).item() == pytest.approx(values[0])
