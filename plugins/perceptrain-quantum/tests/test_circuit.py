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


@pytest.mark.slow
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


def test_a_circuit_without_trained_parameters_is_a_model() -> None:
    model = CircuitModel(pyqtorch.QuantumCircuit(2, [pyqtorch.RX(0, "x"), pyqtorch.CNOT(0, 1)]))
    assert model.angles.shape == (0,)
    x = torch.rand(5, 1, dtype=torch.float64)
    torch.testing.assert_close(model(x), 2 * x.cos())
    assert model.values() == {}


def test_dropout_is_of_training_alone() -> None:
    gates = [pyqtorch.RX(0, "x"), pyqtorch.RY(0, "a"), pyqtorch.RY(1, "b"), pyqtorch.CNOT(0, 1)]
    dropping = pyqtorch.circuit.DropoutQuantumCircuit(2, gates, dropout_prob=0.5)
    model, x = CircuitModel(dropping), torch.rand(3, 1)

    def outputs() -> set[tuple[float, ...]]:
        return {tuple(model(x).flatten().tolist()) for _ in range(20)}

    assert len(outputs()) > 1
    model.eval()
    exact = CircuitModel(pyqtorch.QuantumCircuit(2, gates))
    exact.load_state_dict(model.state_dict())
    assert len(outputs()) == 1
    torch.testing.assert_close(model(x), exact(x))
    model.train()
    assert len(outputs()) > 1


def test_models_may_share_an_observable_and_a_circuit() -> None:
    shared = pyqtorch.Observable(
        [pyqtorch.Scale(pyqtorch.Z(1), torch.tensor(0.3, dtype=torch.float64)), pyqtorch.X(1)]
    )
    fixed = pyqtorch.QuantumCircuit(2, [*circuit().operations, pyqtorch.RY(1, 0.3), pyqtorch.H(0)])
    one, other = (CircuitModel(fixed, shared, features=["x", "y"]) for _ in range(2))
    x = torch.rand(4, 2, dtype=torch.float64)
    exact = other(x).detach(), one(x).detach()
    assert one.to(torch.float32)(x).dtype is torch.float32
    torch.testing.assert_close(other(x), exact[0], rtol=0, atol=0)
    one.to(torch.float64)
    other.load_state_dict(one.state_dict())
    torch.testing.assert_close(one(x), other(x), rtol=0, atol=0)
    torch.testing.assert_close(one(x), exact[1], rtol=0, atol=1e-6)


def test_one_feature_may_be_its_name_alone() -> None:
    gates = [pyqtorch.RX(0, "time"), pyqtorch.RY(0, "a")]
    model = CircuitModel(pyqtorch.QuantumCircuit(1, gates), "Z0", features="time")
    assert model.features == ("time",)
    assert model(torch.rand(3, 1)).shape == (3, 1)


def test_faults_are_told() -> None:
    with pytest.raises(ConfigError, match=r"circuit=5: expected a pyqtorch\.QuantumCircuit"):
        CircuitModel(5)  # type: ignore[arg-type]
    with pytest.raises(
        ConfigError, match=r"features=\['z'\]: expected names .* \['x', 'y', 'coupl"
    ):
        CircuitModel(circuit(), features=["z"])
    with pytest.raises(ConfigError, match=r"features=\[\]"):
        CircuitModel(circuit(), features=[])
    with pytest.raises(ConfigError, match=r"features=\['x', 'x'\]: expected names .*, each once"):
        CircuitModel(circuit(), features=["x", "x"])
    measured = pyqtorch.Observable([pyqtorch.Scale(pyqtorch.Z(0), "size")])
    with pytest.raises(ConfigError, match="the observable has parameters too"):
        CircuitModel(circuit(), measured, features=["x"], diff_mode="gpsr")
