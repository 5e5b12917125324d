"""Checks of the values of tensors, which would be slow on every batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from perceptrain_core.capturing import is_capturing
from perceptrain_core.errors import DataError


class _Switch:
    #: How many blocks ask for checks. A count, as those of several threads end in any order.
    asked = 0


@contextmanager
def checking_values() -> Iterator[None]:
    """Let losses check values inside a ``with`` block: on the first batch of each stage."""
    _Switch.asked += 1
    try:
        yield
    finally:
        _Switch.asked -= 1


def values_are_checked(values: Tensor | None = None) -> bool:
    """Whether to check values now.

    Reading values takes longer than many a step, and makes a GPU wait. So the trainer asks for
    checks on the first batch of a training, a validation and a test only.

    Args:
        values: The tensor to check. If it is on the CPU, where reading it takes microseconds, it is
            checked in every call, also without a trainer; but never while a step is recorded as a
            graph (`is_capturing`).
    """
    if values is None:
        return _Switch.asked > 0
    return not is_capturing() and (_Switch.asked > 0 or values.device.type == "cpu")


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
