"""What circuits may be made of, in each mode, beside pyqtorch called directly."""

from __future__ import annotations

import copy
from typing import Any

import pyqtorch
import pytest
import torch
from pyqtorch import HamiltonianEvolution
from pyqtorch.noise import Depolarizing, DigitalNoiseProtocol, DigitalNoiseType
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer
from perceptrain.errors import ConfigError
from perceptrain_quantum import CircuitModel, FeatureMapQNN

NOISE = DigitalNoiseProtocol(DigitalNoiseType.DEPOLARIZING, error_probability=0.2)
MATRIX = torch.tensor([[1.0, 0.5j], [-0.5j, -2.0]], dtype=torch.complex128)
X0_PLUS_Z0 = pyqtorch.Add([pyqtorch.X(0), pyqtorch.Z(0)])
RX, RY, RZ, CNOT = pyqtorch.RX, pyqtorch.RY, pyqtorch.RZ, pyqtorch.CNOT


def circuit(*middle: nn.Module, n_qubits: int = 3) -> pyqtorch.QuantumCircuit:
    return pyqtorch.QuantumCircuit(n_qubits, [RX(0, "x"), RY(1, "a"), *middle, RX(0, "b")])


def model(*middle: nn.Module, diff_mode: str = "ad") -> CircuitModel:
    return CircuitModel(circuit(*middle), ["Z0 + X1", "Y0 Z2"], diff_mode=diff_mode)


def gradients(of: nn.Module, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    weights = torch.arange(1.0, 3.0, dtype=torch.float64)
    outputs = of(x)
    return [outputs, *torch.autograd.grad((outputs * weights).sum(), [x, *of.parameters()])]


def by_hand(of: CircuitModel, x: Tensor) -> Tensor:
    values = of.values() | {"x": x[:, 0]}
    state = of.circuit.run(values=values)
    return torch.stack([each.expectation(state, values) for each in of.observables], dim=1)


def evolution(generator: Any, time: Any = "t", **options: Any) -> HamiltonianEvolution:
    return HamiltonianEvolution(generator, time, **options)


ALLOWED: dict[str, list[nn.Module]] = {
    "fixed": [
        pyqtorch.H(1),
        pyqtorch.S(0),
        pyqtorch.T(1),
        pyqtorch.SDagger(0),
        pyqtorch.I(0),
        pyqtorch.Y(1),
        pyqtorch.X(0),
        pyqtorch.Z(0),
    ],
    "fixed on several": [
        pyqtorch.H(0),
        CNOT(0, 1),
        pyqtorch.CY(1, 2),
        pyqtorch.CZ(0, 2),
        pyqtorch.SWAP(0, 1),
        pyqtorch.Toffoli((0, 1), 2),
        pyqtorch.CSWAP(0, (1, 2)),
    ],
    "rotations": [pyqtorch.H(0), RZ(0, "c"), pyqtorch.PHASE(1, "d"), RY(0, "a"), RX(1, "x")],
    "controlled rotations": [
        pyqtorch.H(0),
        pyqtorch.CRX(0, 1, "c"),
        pyqtorch.CRY(1, 2, "d"),
        pyqtorch.CRZ(0, 2, "c"),
        pyqtorch.CPHASE(0, 1, "x"),
        pyqtorch.CRX((0, 1), 2, "e"),
        pyqtorch.CPHASE((0, 1), 2, "f"),
    ],
    "fixed angles": [RY(0, 0.3), RZ(1, torch.tensor(0.7, dtype=torch.float64))],
    "groups": [
        pyqtorch.Merge([RY(0, "c"), RZ(0, "x"), RX(0, "c")]),
        pyqtorch.Sequence([CNOT(0, 1), pyqtorch.Sequence([RY(1, "d"), pyqtorch.S(1)])]),
    ],
    "a sum commutes": [evolution(pyqtorch.Add([pyqtorch.X(0), pyqtorch.X(1)]))],
    "a sum does not": [evolution(X0_PLUS_Z0), RY(0, "t")],
    "a matrix": [evolution(MATRIX, qubit_support=(1,)), evolution(MATRIX, "x", qubit_support=(0,))],
    "a fixed time": [evolution(X0_PLUS_Z0, torch.tensor([0.3], dtype=torch.float64))],
}


@pytest.mark.parametrize("points", [1, 4])
@pytest.mark.parametrize("diff_mode", ["adjoint", "gpsr"])
@pytest.mark.parametrize("middle", ALLOWED.values(), ids=ALLOWED)
def test_what_is_allowed_has_right_gradients(
    middle: list[nn.Module], diff_mode: str, points: int
) -> None:
    exact, other = model(*middle), model(*middle, diff_mode=diff_mode)
    other.load_state_dict(exact.state_dict())
    x = torch.rand(points, 1, dtype=torch.float64)
    # pyqtorch rounds the gaps of an evolution, and takes finite differences with adjoint.
    close = 1e-4 if any(isinstance(each, HamiltonianEvolution) for each in middle) else 1e-9
    for got, truth in zip(gradients(other, x), gradients(exact, x), strict=True):
        torch.testing.assert_close(got, truth, rtol=0, atol=close)


NOISY: dict[str, list[nn.Module]] = {
    "of a gate": [RX(0, "c", noise=NOISE), RY(0, "d"), CNOT(0, 1)],
    "as a gate": [Depolarizing(0, 0.2), RY(0, "c")],
    "in a group": [pyqtorch.Sequence([RX(0, "c", noise=NOISE), RY(0, "d")])],
}


@pytest.mark.slow
@pytest.mark.parametrize("middle", NOISY.values(), ids=NOISY)
def test_noise(middle: list[nn.Module]) -> None:
    noisy = model(*middle)
    x = torch.rand(40, 1, dtype=torch.float64)
    torch.testing.assert_close(noisy(x), by_hand(noisy, x))
    shifted = model(*middle, diff_mode="gpsr")
    shifted.load_state_dict(noisy.state_dict())
    for got, truth in zip(gradients(shifted, x), gradients(noisy, x), strict=True):
        torch.testing.assert_close(got, truth, rtol=0, atol=1e-9)
    with pytest.raises(ConfigError, match=r"with noise there is no state to .*diff_mode=\"ad\""):
        model(*middle, diff_mode="adjoint")


DOUBLED = pyqtorch.ConcretizedCallable("mul", ["x", "c"])
REFUSED: dict[str, nn.Module] = {
    r"Add on the qubits \(0, 1\)": pyqtorch.Add([pyqtorch.X(0), RY(1, "c")]),
    r"Scale on .* of this kind": pyqtorch.Scale(pyqtorch.X(0), torch.tensor(0.5)),
    r"N on the qubits \(0,\): it is not unitary": pyqtorch.N(0),
    r"Projector on .*: it is not unitary": pyqtorch.Projector(0, "1", "1"),
    r"RX on .*: its angle is a formula": RX(0, DOUBLED),
    r"HamiltonianEvolution on .* only parameter": evolution(
        pyqtorch.Add([pyqtorch.Scale(pyqtorch.X(0), "g"), pyqtorch.Z(0)])
    ),
    r"HamiltonianEvolution on the .* only parameter": evolution(X0_PLUS_Z0, DOUBLED),
    r"HamiltonianEvolution on .* not unitary": evolution(MATRIX * 1j, qubit_support=(0,)),
    r"DropoutQuantumCircuit on .* of this kind": pyqtorch.circuit.DropoutQuantumCircuit(
        1, [RX(0, "c")]
    ),
}


@pytest.mark.parametrize("diff_mode", ["adjoint", "gpsr"])
@pytest.mark.parametrize("message", REFUSED)
def test_what_has_wrong_gradients_is_refused(message: str, diff_mode: str) -> None:
    for operation in (REFUSED[message], pyqtorch.Sequence([REFUSED[message]])):
        with pytest.raises(ConfigError, match=f'{message}.*Use diff_mode="ad"'):
            model(operation, diff_mode=diff_mode)
    assert model(REFUSED[message])(torch.rand(2, 1)).shape == (2, 2)


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (evolution("h", qubit_support=(0,)), r"HamiltonianEvolution\('h', ...\): a generator"),
        (evolution(X0_PLUS_Z0, duration="T"), r"duration='T'\): a duration given by a name"),
        (pyqtorch.U(0, "c", "d", "e"), r"U on the qubits \(0,\) has no single name"),
    ],
)
def test_values_that_cannot_be_given(operation: nn.Module, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model(operation)


def test_an_evolution_is_trained_in_its_time() -> None:
    turned = pyqtorch.QuantumCircuit(1, [RX(0, "x"), evolution(pyqtorch.X(0))])
    evolved = CircuitModel(turned, "Z0")
    assert evolved.angle_names == ("t",)
    x = torch.rand(5, 1, dtype=torch.float64)
    torch.testing.assert_close(evolved(x), (x + 2 * evolved.angles).cos())


def test_an_evolution_keeps_no_graph() -> None:
    evolved = CircuitModel(pyqtorch.QuantumCircuit(1, [RX(0, "x"), evolution(X0_PLUS_Z0)]), "Z0")
    x = torch.rand(5, 1, dtype=torch.float64)
    outputs = evolved(x)
    torch.testing.assert_close(copy.deepcopy(evolved)(x), outputs)
    outputs.sum().backward()
    evolved(x).sum().backward()
    config = TrainConfig(max_iter=5, batch_size=5, verbose=False)
    trainer = Trainer(evolved, {"name": "sgd", "lr": 1e-5}, config)
    trainer.fit((x, x))
    assert len({row["train_loss"] for row in trainer.history}) == 5


def test_an_evolution_sees_all_digits_of_all_points() -> None:
    evolved = CircuitModel(pyqtorch.QuantumCircuit(1, [evolution(X0_PLUS_Z0, "x")]), "Z0")
    x = torch.linspace(-1, 1, 2000, dtype=torch.float64).unsqueeze(1)
    inside = x.clone()
    inside[10:-10] += 0.5
    with torch.no_grad():
        for points in (x, inside, inside + 1e-7):
            truth = 1 - (2**0.5 * points).sin().square()
            torch.testing.assert_close(evolved(points), truth, rtol=0, atol=1e-10)


def test_an_evolution_that_was_used_is_left_as_it_was() -> None:
    given = circuit(evolution(X0_PLUS_Z0))
    values = {name: torch.rand(1, requires_grad=True) for name in ("x", "a", "b", "t")}
    given.run(values={name: value.double() for name, value in values.items()})
    assert CircuitModel(given)(torch.rand(3, 1)).shape == (3, 1)
    assert given.operations[2].cache_length == 1


@pytest.mark.parametrize("n_qubits", [3, 6])
@pytest.mark.parametrize("points", [1, 100])
def test_both_ways_to_apply_the_closing_gates_are_the_same(n_qubits: int, points: int) -> None:
    short = FeatureMapQNN(n_qubits, 1, observable=["Z0 Z1", "X1 - Y2"])
    x = torch.rand(points, 1, dtype=torch.float64, requires_grad=True)
    features = dict(short._feature_values(x))
    values = features | short._angle_values()
    simulator = short._simulator
    ways = (simulator._by_operator(values), simulator._by_states(values))
    seconds = []
    for state in ways:
        column = short.observables[1].expectation(state)
        (first,) = torch.autograd.grad(column.sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
        seconds.append([column, first, second, *torch.autograd.grad(second.sum(), short.angles)])
    for got, truth in zip(*seconds, strict=True):
        torch.testing.assert_close(got, truth, rtol=0, atol=1e-10)


def test_the_operator_is_made_where_it_is_worth_it() -> None:
    def is_less(n_qubits: int, depth: int, batch: int) -> bool:
        return FeatureMapQNN(n_qubits, depth)._simulator._operator_is_cheaper(batch)

    assert is_less(4, 3, 1)
    assert is_less(6, 3, 1000)
    assert not is_less(6, 3, 40)  # larger than the states
    assert not is_less(10, 1, 1100)  # few gates to save
    one = pyqtorch.QuantumCircuit(5, [RX(0, "x"), RY(4, "a")])
    assert not CircuitModel(one)._simulator._operator_is_cheaper(200)
