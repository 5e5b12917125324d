"""A model from any pyqtorch circuit."""

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
    """A model that maps features to expectation values of a pyqtorch circuit.

    All named parameters of the circuit that are not features are trained. They are initialized
    uniformly in [0, 2 pi) from torch's global generator, in float64. The initial state is |0...0>.
    ``model.to(torch.float32)`` simulates in complex64.

    Args:
        circuit: The circuit; it is copied. A ``DropoutQuantumCircuit`` drops gates in training
            mode, but not after ``model.eval()``.
        observable: The observable, or a list with one per output: "total_magnetization", Pauli
            strings such as "Z0 Z1 - 0.5 * X2", or a ``pyqtorch.Observable``.
        features: The names of the circuit parameters that the input columns supply.
        diff_mode: "ad": derivatives of any order. "adjoint": first derivatives with little memory
            (arXiv 2009.02823). "gpsr": the generalized parameter-shift rule (arXiv 2108.01218), as
            on hardware; its cost grows with the number of parameters, and with the square of it
            for second derivatives.
        n_shots: Measurements per expectation value, with "gpsr" only; None for exact values.

    Attributes:
        angles: The trained parameters, ``(number,)``.
        angle_names: The names of the trained parameters, in the same order.

    Raises:
        ConfigError: An argument is invalid, or the circuit does not support the options.

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
        unique = set(self.features)
        if not unique or not unique.issubset(names) or len(unique) < len(self.features):
            raise ConfigError(
                f"features={list(self.features)}: expected names of the circuit's parameters, "
                f"each once; the parameters are {names}."
            )
        self.angle_names = tuple(name for name in names if name not in self.features)
        turns = torch.rand(len(self.angle_names), dtype=torch.float64)
        self.angles = nn.Parameter(2 * math.pi * turns)

    @property
    def circuit(self) -> pyqtorch.QuantumCircuit:
        """The model's own copy of the circuit."""
        return self._simulator.circuit

    @property
    def observables(self) -> tuple[pyqtorch.Observable, ...]:
        """The observables, one per output."""
        return self._simulator.observables

    def expectation(self, inputs: Any) -> Tensor:
        """Compute the expectation values.

        Args:
            inputs: Real numbers of shape ``(N, number of features)``, converted to the dtype of the
                angles.

        Returns:
            ``(N, number of observables)``, in the dtype of the angles.

        Raises:
            DataError: The inputs are not a tensor of real numbers.
            ShapeError: The inputs have another shape.
        """
        features = self._checked(inputs).to(self.angles.dtype)
        return self._simulator.expectation(
            {**self._feature_values(features), **self._angle_values()}, self.training
        )

    def values(self) -> dict[str, Tensor]:
        """Return the trained values by name, detached, for use with pyqtorch."""
        return {name: value.detach().clone() for name, value in self._angle_values().items()}

    def _feature_values(self, features: Tensor) -> Mapping[str, Tensor]:
        return dict(zip(self.features, features.unbind(dim=1), strict=True))

    def _angle_values(self) -> dict[str, Tensor]:
        return dict(zip(self.angle_names, self.angles.unsqueeze(1).unbind(), strict=True))

    def _checked(self, inputs: Any) -> Tensor:
        width = self._width()
        if not isinstance(inputs, Tensor) or inputs.is_complex() or inputs.dtype is torch.bool:
            got = (
                f"a {inputs.dtype} tensor" if isinstance(inputs, Tensor) else type(inputs).__name__
            )
            raise DataError(f"The circuit got {got}; expected real numbers of shape (N, {width}).")
        if inputs.ndim != 2 or inputs.shape[1] != width or not len(inputs):
            hint = " Add a dimension with x.unsqueeze(-1)." if inputs.ndim == 1 else ""
            raise ShapeError(
                f"The circuit got inputs of shape {tuple(inputs.shape)}; expected (N, {width}): at "
                f"least one point, and a column for each feature.{hint}"
            )
        return inputs

    def _width(self) -> int:
        return len(self.features)
