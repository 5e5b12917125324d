"""The quantum neural network registered as ``qnn``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyqtorch
import torch
from pyqtorch.primitives.primitive import Primitive
from torch import Tensor, nn

from perceptrain.errors import ConfigError
from perceptrain_quantum.feature_maps import FeatureMap
from perceptrain_quantum.models.circuit import CircuitModel
from perceptrain_quantum.observables import Observables, observables
from perceptrain_quantum.simulator import Simulator


class FeatureMapQNN(CircuitModel):
    """A quantum neural network: a feature map, a hardware-efficient ansatz, and observables.

    One upload rotates each qubit by its feature angle (RX) and applies ``depth`` layers of the
    ansatz. A layer has trained rotations RX, RY, RX of each qubit and a ring of CNOTs (arXiv
    1704.05018; ``hea`` in pyqtorch). The output is a Fourier series of the features, or a
    polynomial with "chebyshev"; the scaling and the number of uploads determine its highest degree
    (arXiv 2008.08605).

    Args:
        n_qubits: The number of qubits; memory and time grow with ``2^n_qubits``.
        depth: Layers of the ansatz per upload.
        n_features: The number of input columns, at most ``n_qubits``. Feature i is encoded on the
            qubits i, i + n_features, ...
        feature_map: "fourier": the angle is the feature. "chebyshev": the angle is ``2 arccos`` of
            the feature, which must lie in (-1, 1) (arXiv 2011.10395).
        reupload_scaling: Factors of the angle on the qubits of one feature: all 1 ("constant"), or
            1, 2, 3, ... ("tower"), or 1, 2, 4, ... ("exponential").
        feature_range: Lowest and highest value of the features, for mapping them to (-1, 1), or to
            angles in (-pi / 2, pi / 2) with "fourier". None leaves the features unscaled.
        uploads: Repetitions of feature map and ansatz.
        observable: The observable, or a list with one per output: "total_magnetization" (the sum
            of Z on all qubits), Pauli strings such as "Z0 Z1 - 0.5 * X2", or a
            ``pyqtorch.Observable``.
        trainable_scaling: Also train a factor and a shift per output, initially 1 and 0. Otherwise
            outputs stay between the eigenvalues of the observables.
        diff_mode: "ad" (derivatives of any order), "adjoint" (first derivatives, little memory) or
            "gpsr" (the parameter-shift rule); see ``CircuitModel``.
        n_shots: Measurements per expectation value, with "gpsr" only; None for exact values.

    Attributes:
        angles: The trained rotation angles, ``(3 * n_qubits * depth * uploads,)``, float64,
            initialized uniformly in [0, 2 pi) from torch's global generator.
        scale: The factor of each output, ``(number of observables,)``.
        shift: The shift of each output, ``(number of observables,)``.

    Raises:
        ConfigError: An option is invalid.

    Example:
        >>> model = FeatureMapQNN(n_qubits=3, depth=2)
        >>> model(torch.rand(8, 1)).shape
        torch.Size([8, 1])
    """

    def __init__(
        self,
        n_qubits: int = 4,
        depth: int = 3,
        n_features: int = 1,
        *,
        feature_map: str = "fourier",
        reupload_scaling: str = "tower",
        feature_range: tuple[float, float] | None = None,
        uploads: int = 1,
        observable: Observables = "total_magnetization",
        trainable_scaling: bool = False,
        diff_mode: str = "ad",
        n_shots: int | None = None,
    ) -> None:
        counts = {"n_qubits": n_qubits, "depth": depth, "n_features": n_features}
        for name, count in {**counts, "uploads": uploads}.items():
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                raise ConfigError(f"{name}={count!r}: expected a whole number above 0.")
        mapping = FeatureMap(n_qubits, n_features, feature_map, reupload_scaling, feature_range)
        super().__init__(
            _circuit(n_qubits, depth, uploads),
            observable,
            features=_feature_names(n_qubits),
            diff_mode=diff_mode,
            n_shots=n_shots,
        )
        self.feature_map = mapping
        self.observable = observable
        self.depth, self.uploads = depth, uploads
        ones = torch.ones(len(self.observables), dtype=torch.float64)
        self.scale = nn.Parameter(ones, requires_grad=trainable_scaling)
        self.shift = nn.Parameter(torch.zeros_like(ones), requires_grad=trainable_scaling)

    def expectation(self, inputs: Any) -> Tensor:
        """Compute the expectation values, multiplied by ``scale`` and shifted by ``shift``.

        Args:
            inputs: Real numbers of shape ``(N, n_features)``, converted to the dtype of the angles.

        Returns:
            ``(N, number of observables)``, in the dtype of the angles.

        Raises:
            DataError: The inputs are not a tensor of real numbers, or out of range for "chebyshev".
            ShapeError: The inputs have another shape.
        """
        return super().expectation(inputs) * self.scale + self.shift

    def _feature_values(self, features: Tensor) -> Mapping[str, Tensor]:
        angles = self.feature_map.angles(features)
        return dict(zip(self.features, angles.unbind(dim=1), strict=True))

    def _width(self) -> int:
        return self.feature_map.n_features

    def __getstate__(self) -> dict[str, Any]:
        # pyqtorch gates hold local functions, which cannot be pickled. Save what rebuilds them.
        state = {**self.__dict__}
        simulator: Simulator = state.pop("_simulator")
        state["_simulator_options"] = (str(simulator.diff_mode), simulator.n_shots)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        options = state.pop("_simulator_options")
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        n_qubits = self.feature_map.n_qubits
        circuit = _circuit(n_qubits, self.depth, self.uploads)
        measured = observables(self.observable, n_qubits)
        self._simulator = Simulator(circuit, measured, self.features, *options)


def _feature_names(n_qubits: int) -> list[str]:
    return [f"feature_{qubit}" for qubit in range(n_qubits)]


def _circuit(n_qubits: int, depth: int, uploads: int) -> pyqtorch.QuantumCircuit:
    operations: list[nn.Module] = []
    for upload in range(uploads):
        names = _feature_names(n_qubits)
        operations += [pyqtorch.RX(qubit, names[qubit]) for qubit in range(n_qubits)]
        for layer in range(depth):
            operations += _layer(n_qubits, f"theta_{upload}_{layer}")
    return pyqtorch.QuantumCircuit(n_qubits, operations)


def _layer(n_qubits: int, name: str) -> list[nn.Module]:
    rotations: list[nn.Module] = [
        # Merging the three rotations of a qubit into one operator saves two thirds of the work.
        pyqtorch.Merge(
            [
                rotation(qubit, f"{name}_{qubit}_{k}")
                for k, rotation in enumerate((pyqtorch.RX, pyqtorch.RY, pyqtorch.RX))
            ]
        )
        for qubit in range(n_qubits)
    ]
    ring = range(n_qubits if n_qubits > 1 else 0)
    return rotations + [_cnot(qubit, (qubit + 1) % n_qubits) for qubit in ring]


def _cnot(control: int, target: int) -> nn.Module:
    """Return a CNOT as a gate on qubits in ascending order.

    The adjoint mode of pyqtorch 1.7.8 computes wrong gradients for any other order.
    """
    if control < target:
        return pyqtorch.CNOT(control, target)
    flipped = torch.eye(4, dtype=torch.complex128)[[0, 3, 2, 1]]
    return Primitive(flipped, (target, control))
