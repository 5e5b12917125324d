"""Split a batch into the inputs of the model, the target cloud, and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from perceptrain.errors import DataError

_NEEDED = ("inputs", "points")
_OPTIONAL = ("weights", "input_weights")
_EXPECTED = (
    'expected (inputs, points), or a dict with "inputs", "points" and, optionally, "weights" of '
    'the points and "input_weights" of the model\'s cloud.'
)


@dataclass(frozen=True)
class CloudBatch:
    """The parts of a batch.

    Attributes:
        inputs: The inputs of the model.
        points: The target cloud.
        weights: The weights of the target; None if equal.
        input_weights: The weights of the model's outputs; None if equal.
    """

    inputs: Any
    points: Any
    weights: Any = None
    input_weights: Any = None


def split_batch(batch: Any) -> CloudBatch:
    """Split a batch into its parts.

    Args:
        batch: A tuple or list ``(inputs, points)``, or a dict with these keys and, optionally,
            "weights" and "input_weights".

    Returns:
        The parts.

    Raises:
        DataError: The batch has another form.
    """
    if isinstance(batch, Mapping):
        return _from_dict(batch)
    if isinstance(batch, tuple | list) and len(batch) == 2:
        return CloudBatch(*batch)
    raise DataError(f"The batch is {describe(batch)}; {_EXPECTED}{_hint(batch)}")


def describe(value: object) -> str:
    """Describe ``value`` briefly, for an error message."""
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
        faults += [f"has unknown keys {', '.join(map(repr, unknown))}"] if unknown else []
        raise DataError(f"The batch {' and '.join(faults)}; {_EXPECTED}")
    return CloudBatch(**batch)


def _hint(batch: object) -> str:
    if isinstance(batch, tuple | list) and len(batch) > 2:
        return " To pass weights, use the dict."
    return ""
