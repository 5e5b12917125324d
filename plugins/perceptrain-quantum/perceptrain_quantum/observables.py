"""Parse observables written as sums of Pauli strings."""

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
    "pyqtorch.Observable, or a list of these, one per output"
)

Observables = str | pyqtorch.Observable | Sequence[str | pyqtorch.Observable]


def observables(value: Observables, n_qubits: int) -> tuple[pyqtorch.Observable, ...]:
    """Convert the ``observable`` option of a model to pyqtorch observables.

    Args:
        value: A text as in ``observable``, a ``pyqtorch.Observable``, or a list of these.
        n_qubits: The number of qubits of the circuit.

    Returns:
        One observable per output.

    Raises:
        ConfigError: An item is not an observable, or acts on a qubit outside the circuit.
    """
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise ConfigError(f"observable={value!r}: {_EXPECTED}.")
    return tuple(_observable(item, n_qubits) for item in items)


def observable(text: str, n_qubits: int) -> pyqtorch.Observable:
    """Parse an observable.

    Args:
        text: "total_magnetization", the sum of Z on all qubits; or a sum of Pauli strings, such as
            "Z0", "X0 Y1", "0.5 * Z0 Z1 - X2".
        n_qubits: The number of qubits.

    Returns:
        The observable.

    Raises:
        ConfigError: The text cannot be parsed, or a Pauli string names a qubit twice.

    Example:
        >>> observable("Z0 + 0.5 * X1", n_qubits=2).qubit_support
        (0, 1)
    """
    if text.strip() == "total_magnetization":
        return pyqtorch.Observable([pyqtorch.Z(qubit) for qubit in range(n_qubits)])
    terms: list[nn.Module] = []
    position, stripped = 0, text.strip()
    while position < len(stripped):
        match = _TERM.match(stripped, position)
        if match is None or (terms and not match["sign"]):
            break
        terms.append(_term(match, text))
        position = match.end()
    if not terms or position < len(stripped):
        raise ConfigError(
            f"observable={text!r}: cannot be parsed from {stripped[position:]!r}; {_EXPECTED}."
        )
    return pyqtorch.Observable(terms)


def _term(match: re.Match[str], text: str) -> nn.Module:
    factors = re.findall(r"([IXYZ])(\d+)", match["string"])
    qubits = [int(qubit) for _, qubit in factors]
    if len(set(qubits)) < len(qubits):
        raise ConfigError(
            f"observable={text!r}: {match['string'].strip()!r} names a qubit twice; expected one "
            "Pauli matrix per qubit. Multiply them first, such as X0 Y0 = i Z0."
        )
    product = pyqtorch.Sequence([_PAULIS[pauli](int(qubit)) for pauli, qubit in factors])
    number = float(f"{match['sign']}{match['number'] or 1}")
    # Scale.forward accepts only a tensor.
    factor = torch.tensor(number, dtype=torch.float64)
    return product if number == 1 else pyqtorch.Scale(product, factor)


def _observable(value: object, n_qubits: int) -> pyqtorch.Observable:
    parsed = observable(value, n_qubits) if isinstance(value, str) else value
    if not isinstance(parsed, pyqtorch.Observable):
        raise ConfigError(f"observable={value!r}: {_EXPECTED}.")
    beyond = sorted(qubit for qubit in parsed.qubit_support if qubit >= n_qubits)
    if beyond:
        raise ConfigError(
            f"The observable {value if isinstance(value, str) else parsed.qubit_support!r} acts on "
            f"qubit {beyond[-1]}; the circuit has {n_qubits}, numbered from 0."
        )
    return parsed
