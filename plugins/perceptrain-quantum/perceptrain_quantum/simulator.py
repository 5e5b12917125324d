"""Simulate a circuit: parameter values in, expectation values out."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping

import pyqtorch
import torch
from pyqtorch import DiffMode
from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_quantum.operations import (
    check_differentiable,
    check_values,
    closing_operations,
    copied,
    names_in,
)

_REAL = (torch.float64, torch.float32)
# Up to about this many states, the overhead of the calls dominates the cost of a gate.
_FEW_STATES = 32
# Multiplying a state by one operator row of about this length costs as much as one gate.
_ROW = 12


class Simulator:
    """Run a circuit with pyqtorch.

    This is not an ``nn.Module``, because ``model.to(torch.float32)`` would discard the imaginary
    part of the gates.

    Args:
        circuit: The circuit; it is copied.
        observables: One per output; they are copied, because models may share them.
        features: The names of the parameters that differ between the points of a batch.
        diff_mode: Differentiation mode of pyqtorch: "ad", "adjoint" or "gpsr".
        n_shots: Measurements per expectation value; None for exact values.

    Raises:
        ConfigError: An option is invalid, or ``diff_mode`` does not support the circuit.
    """

    def __init__(
        self,
        circuit: pyqtorch.QuantumCircuit,
        observables: tuple[pyqtorch.Observable, ...],
        features: Collection[str],
        diff_mode: str = "ad",
        n_shots: int | None = None,
    ) -> None:
        if diff_mode not in tuple(DiffMode):
            raise ConfigError(
                f"diff_mode={diff_mode!r}: expected {', '.join(repr(str(m)) for m in DiffMode)}."
            )
        _check_shots(n_shots, diff_mode)
        for part in (circuit, *observables):
            check_values(part)
        # Kept in the original precision, so that converting to float32 and back loses nothing.
        self._originals = (copied(circuit), tuple(map(copied, observables)))
        if diff_mode != DiffMode.AD:
            check_differentiable(self._originals[0], diff_mode)
            if any(map(names_in, observables)):
                raise ConfigError(
                    f"diff_mode={diff_mode!r} differentiates only the parameters of the circuit, "
                    'but the observable has parameters too. Use diff_mode="ad".'
                )
        self.diff_mode, self.n_shots = DiffMode(diff_mode), n_shots
        self._features = frozenset(features)
        self._moved_to: tuple[torch.device, torch.dtype] | None = None
        self._set_circuit(*self._originals)

    def names(self) -> list[str]:
        """Return the names of the parameters, in the order of the operations."""
        parts = (self.circuit, *self.observables)
        return list(dict.fromkeys(name for part in parts for name in names_in(part)))

    def expectation(self, values: Mapping[str, Tensor], training: bool = True) -> Tensor:
        """Compute the expectation values.

        Args:
            values: A tensor by parameter name, of shape ``(N,)``, or ``(1,)`` if it is the same for
                the whole batch. float64, or float32 for complex64 gates; all on one device.
            training: Whether a ``DropoutQuantumCircuit`` drops gates.

        Returns:
            ``(N, number of observables)``, in the dtype of the values.

        Raises:
            ConfigError: The dtype of the values is neither float64 nor float32.
        """
        values, batch = dict(values), max(map(len, values.values()))
        self._move(next(iter(values.values())))
        if self.diff_mode is not DiffMode.AD:
            columns = [self._expectation(each, values) for each in self.observables]
        else:
            self.circuit.training = training
            run = self._by_operator if self._operator_is_cheaper(batch) else self._by_states
            state = run(values)
            columns = [each.expectation(state, values) for each in self.observables]
        return torch.stack([column.expand(batch) for column in columns], dim=-1)

    def _by_states(self, values: dict[str, Tensor]) -> Tensor:
        return self.circuit.run(self.circuit.init_state(), values)

    def _by_operator(self, values: dict[str, Tensor]) -> Tensor:
        """Combine the closing gates into one operator, and apply it to the states.

        Derivatives with respect to features then pass only through the product with this operator,
        not through each gate.
        """
        state, size = self.circuit.init_state(), 2**self.circuit.n_qubits
        shape = list(state.shape[:-1])
        for operation in self._opening:
            state = operation(state, values)
        columns = torch.eye(size, dtype=state.dtype, device=state.device).reshape([*shape, size])
        # pyqtorch infers the number of states from the longest value.
        angles = {name: values[name] for name in values.keys() - self._features}
        for operation in self._closing:
            columns = operation(columns, angles)
        return (columns.reshape(size, size) @ state.reshape(size, -1)).reshape([*shape, -1])

    def _operator_is_cheaper(self, batch: int) -> bool:
        """Return whether the operator of the closing gates costs less than the gates."""
        size: int = 2**self.circuit.n_qubits
        return size <= max(batch, _FEW_STATES) and size <= _ROW * len(self._closing)

    def _expectation(self, observable: pyqtorch.Observable, values: dict[str, Tensor]) -> Tensor:
        column = pyqtorch.expectation(
            self.circuit,
            values=values,
            observable=observable,
            diff_mode=self.diff_mode,
            n_shots=self.n_shots,
        )
        if self.diff_mode is DiffMode.ADJOINT and column.requires_grad:
            column.register_hook(_refuse_second_derivatives)  # type: ignore[no-untyped-call]
        return column

    def _move(self, like: Tensor) -> None:
        """Move the gates to the device and the precision of the values."""
        if like.dtype not in _REAL:
            raise ConfigError(
                f"A circuit cannot be simulated in {like.dtype}; expected float64 or float32. "
                "Convert the model back to its default dtype with model.to(torch.float64)."
            )
        target = (like.device, like.dtype.to_complex())
        if target != self._moved_to:
            device, dtype = self._moved_to = target
            circuit, observables = self._originals
            self._set_circuit(copied(circuit), tuple(map(copied, observables)))
            with warnings.catch_warnings():
                # torch warns about complex modules, once per gate.
                warnings.filterwarnings("ignore", "Complex modules are a new feature")
                for part in (self.circuit, *self.observables):
                    part.to(device=device, dtype=dtype)

    def _set_circuit(
        self, circuit: pyqtorch.QuantumCircuit, observables: tuple[pyqtorch.Observable, ...]
    ) -> None:
        self.circuit, self.observables = circuit, observables
        self._opening, self._closing = closing_operations(circuit, self._features)


def _check_shots(n_shots: object, diff_mode: str) -> None:
    if n_shots is None:
        return
    if not isinstance(n_shots, int) or isinstance(n_shots, bool) or n_shots < 1:
        raise ConfigError(f"n_shots={n_shots!r}: expected a whole number above 0, or None.")
    if diff_mode != "gpsr":
        raise ConfigError(
            f"n_shots={n_shots} with diff_mode={diff_mode!r}: sampled values have no derivative in "
            'this mode. Use diff_mode="gpsr", the parameter-shift rule.'
        )


def _refuse_second_derivatives(gradient: Tensor) -> None:
    # Gradients are enabled during a backward pass only if create_graph=True.
    if torch.is_grad_enabled():
        raise ConfigError(
            'diff_mode="adjoint" gives first derivatives only, but a second derivative is needed, '
            'as in the loss of a PINN. Use diff_mode="ad".'
        )
