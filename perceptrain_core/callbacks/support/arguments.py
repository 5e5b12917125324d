"""Numbers that callbacks are given, checked when they are given."""

from __future__ import annotations

from math import inf, isfinite
from numbers import Integral, Real
from typing import Any

from perceptrain_core.errors import CallbackError


def check_count(name: str, value: Any, least: int) -> int:
    """Give a whole number back.

    Raises:
        CallbackError: It is none, or below ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise CallbackError(f"{name} must be a whole number of at least {least}, not {value!r}.")
    return int(value)


def check_number(
    name: str, value: Any, above: float | None = None, below: float | None = None
) -> float:
    """Give a number back, as a float.

    Args:
        name: For the message.
        value: What was given.
        above: It has to be above this; by default it has to be 0 or more.
        below: It has to be below this.

    Raises:
        CallbackError: It is no number, not finite, or out of these bounds.
    """
    is_number = not isinstance(value, bool) and isinstance(value, Real) and isfinite(value)
    enough = is_number and (value >= 0 if above is None else value > above)
    if not enough or value >= (inf if below is None else below):
        expected = "of at least 0" if above is None else f"above {above:g}"
        expected += "" if below is None else f" and below {below:g}"
        raise CallbackError(f"{name} must be a number {expected}, not {value!r}.")
    return float(value)
