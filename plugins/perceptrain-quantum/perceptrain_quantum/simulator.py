"""A circuit and its observables: values of parameters in, expectation values out."""

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
# Up to about this many states a gate costs what its calls cost, for one state as for all.
_FEW_STATES = 32
# A row of the operator times a state costs what a gate costs, if it is about this long.
_ROW = 12


class Simulator:
    """Runs a circuit with pyqtorch.

    It is no ``nn.Module``: ``model.to(torch.float32)`` would cut the imaginary part off the gates.

    Args:
        circuit: The circuit; it is copied.
        observables: One for each output; they are copied, for models may share them.
        features: The names of the parameters that differ between the points of a batch.
        diff_mode: How the library differentiates: "ad", "adjoint" or "gpsr".
        n_shots: Draws for each expectation value; None for exact ones.

    Raises:
        ConfigError: These do not go together.
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
        # In the precision in which they were given, so that float32 and back loses nothing.
        self._given = (copied(circuit), tuple(map(copied, observables)))
        if diff_mode != DiffMode.AD:
            check_differentiable(self._given[0], diff_mode)
            if any(map(names_in, observables)):
                raise ConfigError(
                    f"diff_mode={diff_mode!r} differentiates with respect to the circuit alone, "
                    'and the observable has parameters too. Use diff_mode="ad".'
                )
        self.diff_mode, self.n_shots = DiffMode(diff_mode), n_shots
        self._features = frozenset(features)
        self._place: tuple[torch.device, torch.dtype] | None = None
        self._take(*self._given)

    def names(self) -> list[str]:
        """Give the names of the parameters, in the order of the operations."""
        return list(
            dict.fromkeys(
                name for part in (self.circuit, *self.observables) for name in names_in(part)
            )
        )

    def expectation(self, values: Mapping[str, Tensor], training: bool = True) -> Tensor:
        """Give the expectation values.

        Args:
            values: For each name a tensor of shape ``(N,)``, or ``(1,)`` for all of a batch;
                float64, or float32 for complex64 gates; all on one device.
            training: Whether a ``DropoutQuantumCircuit`` leaves out gates.

        Returns:
            ``(N, number of observables)``, in the dtype of the values.

        Raises:
            ConfigError: The values have a dtype that cannot be simulated.
        """
        own, batch = dict(values), max(map(len, values.values()))
        self._move(next(iter(own.values())))
        if self.diff_mode is not DiffMode.AD:
            columns = [self._expectation(each, own) for each in self.observables]
        else:
            self.circuit.training = training
            state = self._by_operator(own) if self._is_less(batch) else self._by_states(own)
            columns = [each.expectation(state, own) for each in self.observables]
        return torch.stack([column.expand(batch) for column in columns], dim=-1)

    def _by_states(self, values: dict[str, Tensor]) -> Tensor:
        return self.circuit.run(self.circuit.init_state(), values)

    def _by_operator(self, values: dict[str, Tensor]) -> Tensor:
        """Apply the closing gates to the basis, and their product to the states.

        No derivative with respect to a feature passes through these gates, only through the
        product with their operator.
        """
        state, size = self.circuit.init_state(), 2**self.circuit.n_qubits
        shape = list(state.shape[:-1])
        for operation in self._opening:
            state = operation(state, values)
        columns = torch.eye(size, dtype=state.dtype, device=state.device).reshape([*shape, size])
        # The library takes the number of states from the longest of all values.
        angles = {name: values[name] for name in values.keys() - self._features}
        for operation in self._closing:
            columns = operation(columns, angles)
        return (columns.reshape(size, size) @ state.reshape(size, -1)).reshape([*shape, -1])

    def _is_less(self, batch: int) -> bool:
        """Tell whether the operator of the closing gates costs less than the gates."""
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
        """Bring the gates to the device and the precision of the values."""
        if like.dtype not in _REAL:
            raise ConfigError(
                f"A circuit cannot be simulated in {like.dtype}; expected float64 or float32. "
                "Convert the model with model.to(torch.float64), its dtype unless told otherwise."
            )
        place = (like.device, like.dtype.to_complex())
        if place != self._place:
            device, dtype = self._place = place
            circuit, observables = self._given
            self._take(copied(circuit), tuple(map(copied, observables)))
            with warnings.catch_warnings():
                # Of torch, about any complex module; each gate would give it.
                warnings.filterwarnings("ignore", "Complex modules are a new feature")
                for part in (self.circuit, *self.observables):
                    part.to(device=device, dtype=dtype)

    def _take(
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
            f"n_shots={n_shots} with diff_mode={diff_mode!r}: draws have no derivative there. Use "
            'diff_mode="gpsr", the parameter-shift rule.'
        )


def _refuse_second_derivatives(gradient: Tensor) -> None:
    # Gradients are on in a backward pass exactly when it is itself to be differentiated.
    if torch.is_grad_enabled():
        raise ConfigError(
            'diff_mode="adjoint" gives first derivatives only; a derivative of a derivative was '
            'asked for, as in the loss of a PINN. Use diff_mode="ad".'
        )
