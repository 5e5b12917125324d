"""Taking a batch apart: what the model gets, what its cloud is compared with, and the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from perceptrain.errors import DataError

_NEEDED = ("inputs", "points")
_OPTIONAL = ("weights", "input_weights")
_EXPECTED = (
    'expected (inputs, points), or a dict with "inputs", "points" and, if there are any, "weights" '
    'of the points and "input_weights" of the model\'s cloud.'
)


@dataclass(frozen=True)
class CloudBatch:
    """The parts of a batch.

    Attributes:
        inputs: What the model gets.
        points: The target cloud.
        weights: Of the points; None for equal ones.
        input_weights: Of the points that the model makes of the inputs; None for equal ones.
    """

    inputs: Any
    points: Any
    weights: Any = None
    input_weights: Any = None


def split_batch(batch: Any) -> CloudBatch:
    """Take a batch apart.

    Args:
        batch: ``(inputs, points)``, a tuple or list of two, or a dict with these names and perhaps
            "weights" and "input_weights".

    Returns:
        The parts.

    Raises:
        DataError: The batch is anything else.
    """
    if isinstance(batch, Mapping):
        return _from_dict(batch)
    if isinstance(batch, tuple | list) and len(batch) == 2:
        return CloudBatch(*batch)
    raise DataError(f"The batch is {describe(batch)}; {_EXPECTED}{_hint(batch)}")


def describe(value: object) -> str:
    """Say in a few words what ``value`` is, for the message of an error."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, Mapping):
        return f"a dict with the keys {', '.join(map(repr, value))}" if value else "an empty dict"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"an object of type {type(value).__name__}"


def _from_dict(batch: Mapping[str, Any]) -> CloudBatch:
    missing = [name for name in _NEEDED if name not in batch]
    unknown = [name for name in batch if name not in _NEEDED + _OPTIONAL]
    if missing or unknown:
        faults = [f"lacks {', '.join(map(repr, missing))}"] if missing else []
        faults += [f"has the unknown {', '.join(map(repr, unknown))}"] if unknown else []
        raise DataError(f"The batch {' and '.join(faults)}; {_EXPECTED}")
    return CloudBatch(**batch)


def _hint(batch: object) -> str:
    if isinstance(batch, tuple | list) and len(batch) > 2:
        return " Weights go into the dict."
    return ""
