"""A circuit and its observables: values of parameters in, expectation values out."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Any

import pyqtorch
import torch
from pyqtorch import DiffMode
from pyqtorch.quantum_operation import QuantumOperation
from torch import Tensor, nn

from perceptrain.errors import ConfigError

_REAL = (torch.float64, torch.float32)
# Up to about this many states a gate costs what its calls cost, for one state as for all.
_FEW_STATES = 32


class Simulator:
    """Runs a circuit with pyqtorch.

    It is no ``nn.Module``: ``model.to(torch.float32)`` would cut the imaginary part off the gates.

    Args:
        circuit: The circuit.
        observables: One for each output.
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
        self.circuit, self.observables = circuit, observables
        self.diff_mode, self.n_shots = DiffMode(diff_mode), n_shots
        self._features = frozenset(features)
        self._n_closing = _closing_operations(circuit, observables, self._features)
        if self.diff_mode is not DiffMode.AD and any(map(_names_in, observables)):
            raise ConfigError(
                f"diff_mode={diff_mode!r} differentiates with respect to the circuit alone, and "
                'the observable has parameters too. Use diff_mode="ad".'
            )
        if self.diff_mode is DiffMode.ADJOINT:
            _check_ascending(circuit)

    def names(self) -> list[str]:
        """Give the names of the parameters, in the order of the operations."""
        return list(
            dict.fromkeys(
                name for part in (self.circuit, *self.observables) for name in _names_in(part)
            )
        )

    def expectation(self, values: Mapping[str, Tensor]) -> Tensor:
        """Give the expectation values.

        Args:
            values: For each name a tensor of shape ``(N,)``, or ``(1,)`` for all of a batch;
                float64, or float32 for complex64 gates; all on one device.

        Returns:
            ``(N, number of observables)``, in the dtype of the values.

        Raises:
            ConfigError: The values have a dtype that cannot be simulated.
        """
        own, batch = dict(values), max(map(len, values.values()))
        self._move(next(iter(own.values())))
        if self.diff_mode is not DiffMode.AD:
            columns = [self._expectation(each, own) for each in self.observables]
        elif self._n_closing and 2**self.circuit.n_qubits <= max(batch, _FEW_STATES):
            columns = self._by_operators(own)
        else:
            state = self.circuit.run(self.circuit.init_state(), own)
            columns = [each.expectation(state, own) for each in self.observables]
        return torch.stack([column.expand(batch) for column in columns], dim=-1)

    def _by_operators(self, values: dict[str, Tensor]) -> list[Tensor]:
        """Evolve the observables through the closing operations: the Heisenberg picture.

        They are as small as a batch of ``2^n_qubits`` states, and no derivative with respect to
        a feature passes through these operations.
        """
        n_qubits, operations = self.circuit.n_qubits, list(self.circuit.operations)
        state, size = self.circuit.init_state(), 2**n_qubits
        for operation in operations[: -self._n_closing]:
            state = operation(state, values)
        columns = torch.eye(size, dtype=state.dtype, device=state.device)
        columns = columns.reshape([2] * n_qubits + [size])
        # The library takes the number of states from the longest of all values.
        angles = {name: values[name] for name in values.keys() - self._features}
        for operation in operations[-self._n_closing :]:
            columns = operation(columns, angles)
        bra, state = columns.reshape(size, size).mH, state.reshape(size, -1)
        operators = [bra @ each(columns, angles).reshape(size, size) for each in self.observables]
        return [(state.conj() * (operator @ state)).sum(0).real for operator in operators]

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
        dtype = like.dtype.to_complex()
        if (self.circuit.dtype, self.circuit.device) != (dtype, like.device):
            with warnings.catch_warnings():
                # Of torch, about any complex module; each gate would give it.
                warnings.filterwarnings("ignore", "Complex modules are a new feature")
                for part in (self.circuit, *self.observables):
                    part.to(device=like.device, dtype=dtype)


def _names_in(part: nn.Module) -> list[str]:
    names: list[str] = []
    for module in part.modules():
        name: Any = getattr(module, "param_name", None)
        if isinstance(name, str) and name:
            names.append(name)
        elif isinstance(name, pyqtorch.ConcretizedCallable):
            names += sorted(name.independent_args)
    return names


def _closing_operations(
    circuit: pyqtorch.QuantumCircuit,
    observables: tuple[pyqtorch.Observable, ...],
    features: frozenset[str],
) -> int:
    """Count the operations at the end that are surely unitary and take no features."""
    if type(circuit) is not pyqtorch.QuantumCircuit or features.intersection(
        *map(_names_in, observables)
    ):
        return 0
    closing = 0
    for operation in reversed(list(circuit.operations)):
        if features.intersection(_names_in(operation)) or not _is_gate(operation):
            break
        closing += 1
    return closing


def _is_gate(operation: nn.Module) -> bool:
    parts = [part for part in operation.modules() if not isinstance(part, nn.ModuleList)]
    return all(
        (isinstance(part, QuantumOperation) and part.noise is None)
        or type(part) in (pyqtorch.Merge, pyqtorch.Sequence)
        for part in parts
    )


def _check_ascending(circuit: pyqtorch.QuantumCircuit) -> None:
    """Refuse gates for which the adjoint mode of pyqtorch 1.7.8 gives wrong gradients."""
    for gate in circuit.flatten():
        qubits = (*gate.control, *gate.target) if isinstance(gate, QuantumOperation) else ()
        if list(qubits) != sorted(qubits):
            raise ConfigError(
                f'diff_mode="adjoint" and the gate {type(gate).__name__} on the qubits {qubits}: '
                "pyqtorch gives wrong gradients where they do not ascend, such as CNOT(1, 0). Use "
                'diff_mode="ad", or number the qubits otherwise.'
            )


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
