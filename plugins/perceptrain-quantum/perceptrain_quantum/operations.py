"""What a circuit is made of: its names, its closing gates, and what cannot be simulated in it."""

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

# The gates with one angle whose derivatives are right in the modes "adjoint" and "gpsr".
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
    """Copy a circuit or an observable, so that it shares nothing with what was given.

    Args:
        part: The circuit or the observable; it is left as it is.

    Returns:
        The copy. Its evolutions keep no operators: pyqtorch finds a kept one by the text of the
        values, four digits of them, and keeps its graph too, which a second backward pass, or a
        copy, fails on.
    """
    given = [module for module in part.modules() if isinstance(module, HamiltonianEvolution)]
    no_operators: dict[int, Any] = {id(each._cache_hamiltonian_evo): {} for each in given}
    made = deepcopy(part, no_operators)
    for module in made.modules():
        if isinstance(module, HamiltonianEvolution):
            module.cache_length = 0
        elif isinstance(module, Parametric) and not _is_named(module):
            # The local function that reads a fixed angle would read it from the gate given.
            module.parse_values = partial(_fixed_angle, module)
    return made


def names_in(part: nn.Module) -> list[str]:
    """Give the names of the parameters, each as often as it is used, in the order of use."""
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
    """Part a circuit before the gates at its end that are surely linear and take no features.

    Args:
        circuit: The circuit.
        features: The names of the parameters that differ between the points of a batch.

    Returns:
        The operations before, and the closing gates, none if the circuit has noise, with which
        the state is a density matrix, or draws which gates it applies.
    """
    operations = list(_steps(circuit))
    place = len(operations)
    if type(circuit) is not pyqtorch.QuantumCircuit or any(map(_has_noise, circuit.modules())):
        return operations, []
    while place and _is_gate(operations[place - 1]):
        if not set(features).isdisjoint(names_in(operations[place - 1])):
            break
        place -= 1
    return operations[:place], operations[place:]


def check_values(part: nn.Module) -> None:
    """Refuse what takes a value that no angle and no feature can be.

    Args:
        part: A circuit or an observable.

    Raises:
        ConfigError: An evolution has a generator or a duration with a name, or a gate has no name
            for its angle.
    """
    for module in part.modules():
        if isinstance(module, HamiltonianEvolution):
            generator = getattr(module, "generator_symbol", None)
            if generator is not None:
                raise ConfigError(
                    f"HamiltonianEvolution({generator!r}, ...): a generator given by a name cannot "
                    "be trained. Give a matrix, or operations; their parameters may have names."
                )
            if isinstance(module.duration, str):
                raise ConfigError(
                    f"HamiltonianEvolution(..., duration={module.duration!r}): a duration given by "
                    "a name cannot be trained, for it has no derivative. Give a number."
                )
        elif isinstance(module, Parametric) and _is_unnamed(module):
            raise ConfigError(
                f"The gate {_told(module)} has no single name for its angle. Give one, such as "
                'RX(0, "a"); for U, take RZ, RY and RZ.'
            )


def check_differentiable(circuit: pyqtorch.QuantumCircuit, diff_mode: str) -> None:
    """Refuse what "adjoint" or "gpsr" of pyqtorch 1.7.8 gives wrong gradients for, or none.

    Args:
        circuit: The circuit.
        diff_mode: "adjoint" or "gpsr".

    Raises:
        ConfigError: The circuit has something for which the gradients are not known to be right.
    """
    for operation in _flat(circuit):
        reason = _fault(operation, diff_mode == "adjoint")
        if reason:
            raise ConfigError(
                f'diff_mode={diff_mode!r} and {_told(operation)}: {reason} Use diff_mode="ad".'
            )


def _fault(operation: nn.Module, adjoint: bool) -> str:
    """Say why the gradients of an operation are not known to be right; empty if they are."""
    not_unitary = "it is not unitary, and pyqtorch gives wrong gradients then."
    if _has_noise(operation):
        return "with noise there is no state to go back from." if adjoint else ""
    if isinstance(operation, HamiltonianEvolution):
        if operation.is_parametric_generator or not isinstance(operation.time, str | Tensor):
            return "an evolution may have one parameter alone, its time, with a plain name."
        time = {operation.time: torch.ones(1)} if isinstance(operation.time, str) else {}
        return "" if _is_unitary(operation.tensor(time)) else not_unitary
    if isinstance(operation, Primitive):
        if not _is_unitary(operation.tensor()):
            return not_unitary
    elif type(operation) not in _ROTATIONS:
        return "pyqtorch gives wrong gradients, or none, for operations of this kind."
    elif isinstance(operation.param_name, pyqtorch.ConcretizedCallable):
        return "its angle is a formula, and pyqtorch fails or gives wrong gradients then."
    if adjoint and list(_qubits(operation)) != sorted(_qubits(operation)):
        return (
            "pyqtorch gives wrong gradients where the qubits do not ascend, such as CNOT(1, 0). "
            "Number them otherwise."
        )
    return ""


def _flat(operation: nn.Module) -> Iterator[nn.Module]:
    """Go through what is applied one after the other; a circuit that draws counts as one."""
    if isinstance(operation, pyqtorch.Sequence) and type(operation) in _GROUPS:
        for part in operation:
            yield from _flat(part)
    else:
        yield operation


def _steps(operation: nn.Module) -> Iterator[nn.Module]:
    """Go through what is applied one after the other; merged gates are one step."""
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


def _told(operation: nn.Module) -> str:
    return f"{type(operation).__name__} on the qubits {_qubits(operation)}"
