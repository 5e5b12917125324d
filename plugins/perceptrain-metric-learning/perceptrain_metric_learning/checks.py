"""Checks of options, whose errors say what the value was and what was expected.

Each function accepts options as keyword arguments, and raises ConfigError for the first invalid
one. NumPy numbers are valid, as in ``num_classes=labels.max() + 1``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from numbers import Integral, Real
from typing import Any

from perceptrain.errors import ConfigError


def check_numbers(**options: Any) -> None:
    """Require finite numbers."""
    _check(options, _is_number, "a finite number")


def check_positive(**options: Any) -> None:
    """Require finite numbers above 0."""
    _check(options, lambda value: _is_number(value) and value > 0, "a finite number above 0")


def check_share(**options: Any) -> None:
    """Require numbers above 0 and at most 1."""
    fits = "a number above 0, and at most 1"
    _check(options, lambda value: _is_number(value) and 0 < value <= 1, fits)


def check_order(**options: Any) -> None:
    """Require orders of a norm."""
    fits = "a number above 0, or infinity"
    _check(options, lambda value: _is(value, Real) and value > 0, fits)


def check_counts(**options: Any) -> None:
    """Require whole numbers of 1 or more."""
    _check(options, lambda value: _is(value, Integral) and value >= 1, "a whole number, 1 or more")


def check_flags(**options: Any) -> None:
    """Require True or False."""
    _check(options, lambda value: isinstance(value, bool), "true or false")


def check_choice(choices: Sequence[str], **options: Any) -> None:
    """Require one of the choices."""
    _check(options, lambda value: value in choices, f"one of {', '.join(choices)}")


def _check(options: dict[str, Any], fits: Callable[[Any], bool], expected: str) -> None:
    for name, value in options.items():
        if not fits(value):
            raise ConfigError(f"{name}={value!r}: expected {expected}.")


def _is_number(value: Any) -> bool:
    return _is(value, Real) and isfinite(value)


def _is(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
