"""Observables written as sums of Pauli strings."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyqtorch
import torch
from torch import nn

from perceptrain.errors import ConfigError

_PAULIS = {"I": pyqtorch.I, "X": pyqtorch.X, "Y": pyqtorch.Y, "Z": pyqtorch.Z}
_TERM = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)?\s*\*?\s*"
    r"(?P<string>[IXYZ]\d+(?:\s*[*@]?\s*[IXYZ]\d+)*)\s*"
)
_EXPECTED = (
    'expected "total_magnetization", Pauli strings such as "Z0", "X0 Y1" or "Z0 Z1 - 0.5 * X2", a '
    "pyqtorch.Observable, or a list of these, one for each output"
)

Observables = str | pyqtorch.Observable | Sequence[str | pyqtorch.Observable]


def observables(given: Observables, n_qubits: int) -> tuple[pyqtorch.Observable, ...]:
    """Make observables of what was given for them.

    Args:
        given: One, or a list of them: see ``observable``.
        n_qubits: The number of qubits of the circuit.

    Returns:
        One for each output.

    Raises:
        ConfigError: Something is no observable, or acts on a qubit that is not there.
    """
    several = given if isinstance(given, list | tuple) else [given]
    if not several:
        raise ConfigError(f"observable={given!r}: {_EXPECTED}.")
    return tuple(_one(each, n_qubits) for each in several)


def observable(text: str, n_qubits: int) -> pyqtorch.Observable:
    """Read an observable.

    Args:
        text: "total_magnetization", the sum of Z on all qubits; or a sum of Pauli strings, such as
            "Z0", "X0 Y1", "0.5 * Z0 Z1 - X2".
        n_qubits: The number of qubits.

    Returns:
        The observable.

    Raises:
        ConfigError: The text cannot be read, or names a qubit that is not there.

    Example:
        >>> observable("Z0 + 0.5 * X1", n_qubits=2).qubit_support
        (0, 1)
    """
    if text.strip() == "total_magnetization":
        return pyqtorch.Observable([pyqtorch.Z(qubit) for qubit in range(n_qubits)])
    terms: list[nn.Module] = []
    place, rest = 0, text.strip()
    while place < len(rest):
        found = _TERM.match(rest, place)
        if found is None or (terms and not found["sign"]):
            break
        terms.append(_term(found, text))
        place = found.end()
    if not terms or place < len(rest):
        raise ConfigError(
            f"observable={text!r}: it cannot be read from {rest[place:]!r} on; {_EXPECTED}."
        )
    return pyqtorch.Observable(terms)


def _term(found: re.Match[str], text: str) -> nn.Module:
    factors = re.findall(r"([IXYZ])(\d+)", found["string"])
    qubits = [int(qubit) for _, qubit in factors]
    if len(set(qubits)) < len(qubits):
        raise ConfigError(
            f"observable={text!r}: {found['string'].strip()!r} names a qubit twice; expected one "
            "Pauli matrix for each qubit. Multiply them first, such as X0 Y0 = i Z0."
        )
    product = pyqtorch.Sequence([_PAULIS[pauli](int(qubit)) for pauli, qubit in factors])
    number = float(f"{found['sign']}{found['number'] or 1}")
    # Scale.forward takes no number, only a tensor.
    factor = torch.tensor(number, dtype=torch.float64)
    return product if number == 1 else pyqtorch.Scale(product, factor)


def _one(given: object, n_qubits: int) -> pyqtorch.Observable:
    if isinstance(given, str):
        made = observable(given, n_qubits)
    elif isinstance(given, pyqtorch.Observable):
        made = given
    else:
        raise ConfigError(f"observable={given!r}: {_EXPECTED}.")
    beyond = sorted(qubit for qubit in made.qubit_support if qubit >= n_qubits)
    if beyond:
        raise ConfigError(
            f"The observable {given if isinstance(given, str) else made.qubit_support!r} acts on "
            f"qubit {beyond[-1]}; the circuit has {n_qubits}, numbered from 0."
        )
    return made
