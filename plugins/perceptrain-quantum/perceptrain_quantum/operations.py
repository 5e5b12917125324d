"""Inspect and copy circuits: parameter names, closing gates, and unsupported operations."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from copy import deepcopy
from functools import partial
from typing import Any, TypeVar

import pyqtorch
import torch
from pyqtorch import HamiltonianEvolution
from pyqtorch.noise.digital_gates import Noise
from pyqtorch.primitives.parametric import Parametric
from pyqtorch.primitives.primitive import Primitive
from pyqtorch.quantum_operation import QuantumOperation
from torch import Tensor, nn

from perceptrain.errors import ConfigError

# Gates with one angle whose derivatives are correct with "adjoint" and "gpsr".
_ROTATIONS = (
    pyqtorch.RX,
    pyqtorch.RY,
    pyqtorch.RZ,
    pyqtorch.PHASE,
    pyqtorch.CRX,
    pyqtorch.CRY,
    pyqtorch.CRZ,
    pyqtorch.CPHASE,
)
_GROUPS = (pyqtorch.Merge, pyqtorch.Sequence, pyqtorch.QuantumCircuit)
_PartT = TypeVar("_PartT", bound=nn.Module)


def copied(part: _PartT) -> _PartT:
    """Copy a circuit or an observable, sharing nothing with the original.

    The evolutions in the copy do not cache operators. The cache of pyqtorch uses the values,
    printed with four digits, as its key. It also keeps the graph of an operator, on which a second
    backward pass or a copy fails.

    Args:
        part: The circuit or the observable; it is not changed.

    Returns:
        The copy.
    """
    evolutions = [module for module in part.modules() if isinstance(module, HamiltonianEvolution)]
    # Entries in the memo of deepcopy, by id, that replace each cache by an empty one.
    empty_caches: dict[int, Any] = {id(each._cache_hamiltonian_evo): {} for each in evolutions}
    copy = deepcopy(part, empty_caches)
    for module in copy.modules():
        if isinstance(module, HamiltonianEvolution):
            module.cache_length = 0
        elif isinstance(module, Parametric) and not _is_named(module):
            # The copied local function would still read the angle from the original gate.
            module.parse_values = partial(_fixed_angle, module)
    return copy


def names_in(part: nn.Module) -> list[str]:
    """Return the parameter names in order of use; a name used several times is repeated."""
    names: list[str] = []
    for module in part.modules():
        name: Any = getattr(module, "param_name", None)
        if isinstance(name, str) and name:
            names.append(name)
        elif isinstance(name, pyqtorch.ConcretizedCallable):
            names += sorted(name.independent_args)
    return names


def closing_operations(
    circuit: pyqtorch.QuantumCircuit, features: Collection[str]
) -> tuple[list[nn.Module], list[nn.Module]]:
    """Split off the gates at the end of a circuit that are linear and independent of features.

    There are no such gates if the circuit has noise, because its state is then a density matrix, or
    if it chooses gates at random.

    Args:
        circuit: The circuit.
        features: The names of the parameters that differ between the points of a batch.

    Returns:
        The operations before the closing gates, and the closing gates.
    """
    operations = list(_steps(circuit))
    split = len(operations)
    if type(circuit) is not pyqtorch.QuantumCircuit or any(map(_has_noise, circuit.modules())):
        return operations, []
    while split and _is_gate(operations[split - 1]):
        if not set(features).isdisjoint(names_in(operations[split - 1])):
            break
        split -= 1
    return operations[:split], operations[split:]


def check_values(part: nn.Module) -> None:
    """Check that trained angles and features can supply all values.

    Args:
        part: A circuit or an observable.

    Raises:
        ConfigError: An evolution has a named generator or duration, or a gate has no single name
            for its angle.
    """
    for module in part.modules():
        if isinstance(module, HamiltonianEvolution):
            generator = getattr(module, "generator_symbol", None)
            if generator is not None:
                raise ConfigError(
                    f"HamiltonianEvolution({generator!r}, ...): a generator given by a name cannot "
                    "be trained. Use a matrix, or operations, whose parameters may have names."
                )
            if isinstance(module.duration, str):
                raise ConfigError(
                    f"HamiltonianEvolution(..., duration={module.duration!r}): a duration given by "
                    "a name cannot be trained, because it has no derivative. Use a number."
                )
        elif isinstance(module, Parametric) and _is_unnamed(module):
            raise ConfigError(
                f"The gate {_describe(module)} has no single name for its angle. Name it, such as "
                'RX(0, "a"); replace U by RZ, RY and RZ.'
            )


def check_differentiable(circuit: pyqtorch.QuantumCircuit, diff_mode: str) -> None:
    """Check that pyqtorch 1.7.8 computes correct gradients with "adjoint" or "gpsr".

    Args:
        circuit: The circuit.
        diff_mode: "adjoint" or "gpsr".

    Raises:
        ConfigError: The circuit has an operation whose gradients are not known to be correct.
    """
    for operation in _flat(circuit):
        reason = _fault(operation, diff_mode == "adjoint")
        if reason:
            raise ConfigError(
                f'diff_mode={diff_mode!r} and {_describe(operation)}: {reason} Use diff_mode="ad".'
            )


def _fault(operation: nn.Module, adjoint: bool) -> str:
    """Explain why the gradients of an operation may be wrong; empty if they are correct."""
    not_unitary = "it is not unitary, so pyqtorch computes wrong gradients."
    if _has_noise(operation):
        return "with noise there is no state to go back from." if adjoint else ""
    if isinstance(operation, HamiltonianEvolution):
        if operation.is_parametric_generator or not isinstance(operation.time, str | Tensor):
            return "the only parameter of an evolution may be its time, with a plain name."
        time = {operation.time: torch.ones(1)} if isinstance(operation.time, str) else {}
        return "" if _is_unitary(operation.tensor(time)) else not_unitary
    if isinstance(operation, Primitive):
        if not _is_unitary(operation.tensor()):
            return not_unitary
    elif type(operation) not in _ROTATIONS:
        return "pyqtorch computes wrong gradients, or none, for operations of this kind."
    elif isinstance(operation.param_name, pyqtorch.ConcretizedCallable):
        return "its angle is a formula, for which pyqtorch fails or computes wrong gradients."
    if adjoint and list(_qubits(operation)) != sorted(_qubits(operation)):
        return (
            "pyqtorch computes wrong gradients if the qubits are not in ascending order, such as "
            "CNOT(1, 0). Renumber the qubits."
        )
    return ""


def _flat(operation: nn.Module) -> Iterator[nn.Module]:
    """Yield the operations in order, inside groups too; a random circuit is one operation."""
    if isinstance(operation, pyqtorch.Sequence) and type(operation) in _GROUPS:
        for part in operation:
            yield from _flat(part)
    else:
        yield operation


def _steps(operation: nn.Module) -> Iterator[nn.Module]:
    """Yield the operations in order; merged gates are one operation."""
    if isinstance(operation, pyqtorch.QuantumCircuit) or type(operation) is pyqtorch.Sequence:
        for part in operation:
            yield from _steps(part)
    else:
        yield operation


def _is_gate(operation: nn.Module) -> bool:
    parts = [operation, *_flat(operation)]
    return all(isinstance(part, QuantumOperation) or type(part) in _GROUPS for part in parts)


def _is_unitary(matrices: Tensor) -> bool:
    if matrices.ndim != 3 or matrices.shape[0] != matrices.shape[1]:
        return False
    each = matrices.movedim(2, 0)
    one = torch.eye(len(matrices), dtype=each.dtype, device=each.device)
    return torch.allclose(each.mH @ each, one.expand_as(each), atol=1e-5)


def _is_named(gate: Parametric) -> bool:
    return isinstance(gate.param_name, str | pyqtorch.ConcretizedCallable)


def _is_unnamed(gate: Parametric) -> bool:
    return isinstance(gate.param_name, str) and not gate.param_name


def _fixed_angle(gate: Parametric, *_: object) -> Tensor:
    return torch.as_tensor(gate.param_name, dtype=gate.dtype, device=gate.device).reshape(-1)


def _has_noise(operation: nn.Module) -> bool:
    return isinstance(operation, Noise) or getattr(operation, "noise", None) is not None


def _qubits(operation: nn.Module) -> tuple[int, ...]:
    if isinstance(operation, QuantumOperation):
        return (*operation.control, *operation.target)
    support: Any = operation.qubit_support
    return tuple(support)


def _describe(operation: nn.Module) -> str:
    return f"{type(operation).__name__} on the qubits {_qubits(operation)}"
