"""Checks of options shared by several losses."""

from __future__ import annotations

import math

from perceptrain.errors import ConfigError


def check_positive(name: str, value: object, below: float = math.inf) -> None:
    """Check that an option is a finite number above 0.

    Args:
        name: The name of the option.
        value: Its value.
        below: Exclusive upper bound.

    Raises:
        ConfigError: The value is not such a number.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < below:
        return
    limit = "" if below == math.inf else f" and below {below:g}"
    raise ConfigError(f"{name}={value!r}: expected a number above 0{limit}.")
