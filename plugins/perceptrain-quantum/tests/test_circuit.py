"""Circuits of one's own as models."""

from __future__ import annotations

import pyqtorch
import pytest
import torch

from perceptrain import TrainConfig, Trainer
from perceptrain.errors import ConfigError
from perceptrain_quantum import CircuitModel


def circuit() -> pyqtorch.QuantumCircuit:
    gates = [
        pyqtorch.RX(0, "x"),
        pyqtorch.RY(1, "y"),
        pyqtorch.CRX(0, 1, "coupling"),
        pyqtorch.RZ(1, "a"),
        pyqtorch.RX(1, "a"),
    ]
    return pyqtorch.QuantumCircuit(2, gates)


def test_its_parameters_are_trained_by_their_names() -> None:
    model = CircuitModel(circuit(), "Z1", features=["y", "x"])
    assert model.angle_names == ("coupling", "a")
    inputs = torch.rand(6, 2, dtype=torch.float64)
    values = model.values() | {"y": inputs[:, 0], "x": inputs[:, 1]}
    truth = pyqtorch.expectation(
        circuit(), values=values, observable=pyqtorch.Observable(pyqtorch.Z(1))
    )
    torch.testing.assert_close(model(inputs)[:, 0], truth)


@pytest.mark.parametrize("diff_mode", ["ad", "adjoint", "gpsr"])
def test_it_learns_another_circuit(diff_mode: str) -> None:
    teacher = CircuitModel(circuit(), "Z1", features=["x", "y"])
    student = CircuitModel(circuit(), "Z1", features=["x", "y"], diff_mode=diff_mode)
    inputs = 2 * torch.rand(20, 2, dtype=torch.float64)
    labels = teacher(inputs).detach()
    config = TrainConfig(max_iter=20, batch_size=20, verbose=False)
    trainer = Trainer(student, {"name": "adam", "lr": 0.1}, config)
    trainer.fit((inputs, labels))
    losses = [row["train_loss"] for row in trainer.history]
    assert losses[-1] < losses[0] / 2


def test_an_observable_may_have_parameters_and_a_gate_a_formula() -> None:
    doubled = pyqtorch.ConcretizedCallable("mul", ["x", "stretch"])
    ours = pyqtorch.QuantumCircuit(1, [pyqtorch.RX(0, doubled)])
    measured = pyqtorch.Observable([pyqtorch.Scale(pyqtorch.Z(0), "size")])
    model = CircuitModel(ours, measured)
    assert model.angle_names == ("stretch", "size")
    x = torch.rand(5, 1, dtype=torch.float64)
    stretch, size = model.angles.detach()
    torch.testing.assert_close(model(x), size * (stretch * x).cos())


def test_an_evolution_is_trained_in_its_time() -> None:
    evolution = pyqtorch.HamiltonianEvolution(
        pyqtorch.Sequence([pyqtorch.X(0)]), "time", qubit_support=(0,)
    )
    model = CircuitModel(pyqtorch.QuantumCircuit(1, [pyqtorch.RX(0, "x"), evolution]), "Z0")
    assert model.angle_names == ("time",)
    x = torch.rand(5, 1, dtype=torch.float64)
    torch.testing.assert_close(model(x), (x + 2 * model.angles).cos())


def test_adjoint_refuses_gates_for_which_it_is_wrong() -> None:
    gates = [pyqtorch.RX(0, "x"), pyqtorch.RY(1, "a"), pyqtorch.CNOT(1, 0)]
    backwards = pyqtorch.QuantumCircuit(2, gates)
    with pytest.raises(ConfigError, match=r"CNOT on the qubits \(1, 0\): .* wrong gradients"):
        CircuitModel(backwards, diff_mode="adjoint")
    assert CircuitModel(backwards)(torch.rand(3, 1)).shape == (3, 1)


def test_faults_are_told() -> None:
    with pytest.raises(ConfigError, match=r"circuit=5: expected a pyqtorch\.QuantumCircuit"):
        CircuitModel(5)  # type: ignore[arg-type]
    with pytest.raises(
        ConfigError, match=r"features=\['z'\]: expected names .* \['x', 'y', 'coupl"
    ):
        CircuitModel(circuit(), features=["z"])
    with pytest.raises(ConfigError, match=r"features=\[\]"):
        CircuitModel(circuit(), features=[])
    measured = pyqtorch.Observable([pyqtorch.Scale(pyqtorch.Z(0), "size")])
    with pytest.raises(ConfigError, match="the observable has parameters too"):
        CircuitModel(circuit(), measured, features=["x"], diff_mode="gpsr")
