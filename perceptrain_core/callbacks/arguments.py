"""Numbers that callbacks are given, checked when they are given."""

from __future__ import annotations

from math import isfinite
from typing import Any

from perceptrain_core.errors import CallbackError


def check_count(name: str, value: Any, least: int) -> int:
    """Give a whole number back.

    Raises:
        CallbackError: It is none, or below ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise CallbackError(f"{name} must be a whole number of at least {least}, not {value!r}.")
    return value


def check_number(name: str, value: Any, above: float | None = None) -> float:
    """Give a number as a float.

    Args:
        name: For the message.
        value: What was given.
        above: It has to be above this; ``None`` asks for 0 or more.

    Raises:
        CallbackError: It is no number, not finite, or too small.
    """
    expected = "a number of at least 0" if above is None else f"a number above {above:g}"
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if not number or (value < 0 if above is None else value <= above):
        raise CallbackError(f"{name} must be {expected}, not {value!r}.")
    return float(value)
