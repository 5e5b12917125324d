"""Checks of options that say what was given and what was expected."""

from __future__ import annotations

from math import isfinite
from typing import Any

from perceptrain.errors import ConfigError


def check_numbers(**options: Any) -> None:
    """Refuse what is no finite number.

    Raises:
        ConfigError: One is none.
    """
    for name, value in options.items():
        if not _is_number(value):
            raise ConfigError(f"{name}={value!r}: expected a finite number.")


def check_positive(**options: Any) -> None:
    """Refuse what is no number above 0.

    Raises:
        ConfigError: One is none.
    """
    for name, value in options.items():
        if not _is_number(value) or value <= 0:
            raise ConfigError(f"{name}={value!r}: expected a finite number above 0.")


def check_counts(**options: Any) -> None:
    """Refuse what is no whole number of 1 or more.

    Raises:
        ConfigError: One is none.
    """
    for name, value in options.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name}={value!r}: expected a whole number, 1 or more.")


def check_flags(**options: Any) -> None:
    """Refuse what is neither True nor False.

    Raises:
        ConfigError: One is neither.
    """
    for name, value in options.items():
        if not isinstance(value, bool):
            raise ConfigError(f"{name}={value!r}: expected true or false.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
