"""Any pyqtorch circuit as a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyqtorch
import torch
from torch import Tensor, nn

from perceptrain import QNN
from perceptrain.errors import ConfigError, DataError, ShapeError
from perceptrain_quantum.observables import Observables, observables
from perceptrain_quantum.simulator import Simulator


class CircuitModel(QNN):
    """A circuit whose inputs are features, and whose outputs are expectation values.

    The named parameters of the circuit that are no features are trained. They start uniformly in
    [0, 2 pi), drawn from torch's global generator, in float64. The state starts as |0...0>.
    ``model.to(torch.float32)`` simulates in complex64.

    Args:
        circuit: The circuit; it is copied. One that drops gates (``DropoutQuantumCircuit``) does so
            while the model trains, and not after ``model.eval()``.
        observable: What is measured, one for each output: "total_magnetization", Pauli strings
            such as "Z0 Z1 - 0.5 * X2", a ``pyqtorch.Observable``, or a list of these.
        features: The names of the circuit's parameters that the columns of the inputs give.
        diff_mode: "ad": derivatives of any order; "adjoint": first derivatives, little memory
            (arXiv 2009.02823); "gpsr": the generalised parameter-shift rule (arXiv 2108.01218), as
            on a device; its cost grows with the number of parameters, squared for second
            derivatives.
        n_shots: Draws for each expectation value, with "gpsr" alone; None for exact values.

    Attributes:
        angles: The trained parameters, ``(number,)``.
        angle_names: Their names in the circuit, in the same order.

    Raises:
        ConfigError: The circuit, the observable and the options do not go together.

    Example:
        >>> circuit = pyqtorch.QuantumCircuit(1, [pyqtorch.RX(0, "x"), pyqtorch.RY(0, "theta")])
        >>> model = CircuitModel(circuit, "Z0", features=["x"])
        >>> model(torch.zeros(8, 1)).shape
        torch.Size([8, 1])
    """

    def __init__(
        self,
        circuit: pyqtorch.QuantumCircuit,
        observable: Observables = "total_magnetization",
        *,
        features: Sequence[str] = ("x",),
        diff_mode: str = "ad",
        n_shots: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(circuit, pyqtorch.QuantumCircuit):
            raise ConfigError(f"circuit={circuit!r}: expected a pyqtorch.QuantumCircuit.")
        measured = observables(observable, circuit.n_qubits)
        self.features = (features,) if isinstance(features, str) else tuple(features)
        self._simulator = Simulator(circuit, measured, self.features, diff_mode, n_shots)
        names = self._simulator.names()
        once = set(self.features)
        if not once or not once.issubset(names) or len(once) < len(self.features):
            raise ConfigError(
                f"features={list(self.features)}: expected names of the circuit's parameters, "
                f"each once; they are {names}."
            )
        self.angle_names = tuple(name for name in names if name not in self.features)
        start = torch.rand(len(self.angle_names), dtype=torch.float64)
        self.angles = nn.Parameter(2 * math.pi * start)

    @property
    def circuit(self) -> pyqtorch.QuantumCircuit:
        """The circuit, the model's own copy."""
        return self._simulator.circuit

    @property
    def observables(self) -> tuple[pyqtorch.Observable, ...]:
        """What is measured, one for each output."""
        return self._simulator.observables

    def expectation(self, inputs: Any) -> Tensor:
        """Give the expectation values.

        Args:
            inputs: Real numbers of shape ``(N, number of features)``. They are brought to the
                dtype of the angles; float32 features become float64 ones.

        Returns:
            ``(N, number of observables)``, in the dtype of the angles.

        Raises:
            DataError: The inputs are no tensor of real numbers.
            ShapeError: Their shape is another.
        """
        features = self._checked(inputs).to(self.angles.dtype)
        return self._simulator.expectation(
            {**self._feature_values(features), **self._angle_values()}, self.training
        )

    def values(self) -> dict[str, Tensor]:
        """Give the trained values by their names in the circuit, detached, for pyqtorch."""
        return {name: value.detach().clone() for name, value in self._angle_values().items()}

    def _feature_values(self, features: Tensor) -> Mapping[str, Tensor]:
        return dict(zip(self.features, features.unbind(dim=1), strict=True))

    def _angle_values(self) -> dict[str, Tensor]:
        return dict(zip(self.angle_names, self.angles.unsqueeze(1).unbind(), strict=True))

    def _checked(self, inputs: Any) -> Tensor:
        width = self._width()
        if not isinstance(inputs, Tensor) or inputs.is_complex() or inputs.dtype is torch.bool:
            given = (
                f"a {inputs.dtype} tensor" if isinstance(inputs, Tensor) else type(inputs).__name__
            )
            raise DataError(f"The circuit got {given}; expected real numbers, (N, {width}).")
        if inputs.ndim != 2 or inputs.shape[1] != width or not len(inputs):
            hint = " Give them a dimension: x.unsqueeze(-1)." if inputs.ndim == 1 else ""
            raise ShapeError(
                f"The circuit got inputs of shape {tuple(inputs.shape)}; expected (N, {width}): N "
                f"points, one at least, and a column for each feature.{hint}"
            )
        return inputs

    def _width(self) -> int:
        return len(self.features)
