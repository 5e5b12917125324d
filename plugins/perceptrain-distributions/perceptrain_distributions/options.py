"""Checks of options that several losses share."""

from __future__ import annotations

import math

from perceptrain.errors import ConfigError


def check_positive(name: str, value: object, below: float = math.inf) -> None:
    """Check that an option is a finite number above 0.

    Args:
        name: The option.
        value: What was given.
        below: The number must be less than this.

    Raises:
        ConfigError: It is not.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < below:
        return
    limit = "" if below == math.inf else f" and below {below:g}"
    raise ConfigError(f"{name}={value!r}: expected a number above 0{limit}.")
