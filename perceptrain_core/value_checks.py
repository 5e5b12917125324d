"""Checks of the values of tensors, which would be slow on every batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from perceptrain_core.errors import DataError


class _Switch:
    on = False


@contextmanager
def checking_values() -> Iterator[None]:
    """Let losses check values inside a ``with`` block: on the first batch of each stage."""
    before, _Switch.on = _Switch.on, True
    try:
        yield
    finally:
        _Switch.on = before


def values_are_checked() -> bool:
    """Whether to check values now.

    Reading values takes longer than many a step, and makes a GPU wait. So the trainer asks for
    checks on the first batch of a training, a validation and a test only.
    """
    return _Switch.on


def check_range(
    what: str, values: Tensor, low: float, high: float, expected: str, advice: str
) -> None:
    """Check that the values of a tensor are in a range; NaN is left to others.

    Args:
        what: What the tensor is, for the message: ``"The labels"``.
        values: Any number of values.
        low: The smallest allowed value.
        high: The largest allowed value.
        expected: What was expected.
        advice: What to do.

    Raises:
        DataError: A value is outside the range.
    """
    if not bool(((values < low) | (values > high)).any()):
        return
    smallest, largest = values.detach().aminmax()
    raise DataError(
        f"{what} go from {smallest.item():g} to {largest.item():g}; expected {expected}. {advice}"
    )
