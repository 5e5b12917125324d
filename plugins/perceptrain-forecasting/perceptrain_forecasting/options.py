"""Checks of the options of losses and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from perceptrain.errors import ConfigError


def check_whole(name: str, value: Any, least: int) -> None:
    """Raise ConfigError unless an option is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ConfigError(f"{name}={value!r}: expected a whole number of at least {least}.")


def check_positive(name: str, value: Any) -> None:
    """Raise ConfigError unless an option is a number above 0."""
    if not _is_number(value) or value <= 0:
        raise ConfigError(f"{name}={value!r}: expected a number above 0.")


def check_share(name: str, value: Any) -> None:
    """Raise ConfigError unless an option is a number between 0 and 1, without the ends."""
    if not _is_number(value) or not 0 < value < 1:
        raise ConfigError(f"{name}={value!r}: expected a number between 0 and 1, such as 0.9.")


def check_levels(name: str, values: Any) -> tuple[float, ...]:
    """Return levels of quantiles or intervals: increasing numbers between 0 and 1.

    Raises:
        ConfigError: They are something else.
    """
    levels = tuple(values) if isinstance(values, Sequence) and not isinstance(values, str) else ()
    fits = bool(levels) and all(_is_number(level) and 0 < level < 1 for level in levels)
    if not fits or list(levels) != sorted(set(levels)):
        raise ConfigError(
            f"{name}={values!r}: expected increasing numbers between 0 and 1, such as "
            "[0.1, 0.5, 0.9]."
        )
    return tuple(float(level) for level in levels)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
