"""What type checkers see of lazy exports: the classes themselves. ``make types`` reads this file.

A class that were ``Any`` would accept the wrong call, and mypy would report the comment that
expects an error.
"""

from typing import assert_type

from perceptrain_physics import Box

assert_type(Box([0.0], [1.0]).mean, tuple[float, ...])
Box(1)  # type: ignore[call-arg, arg-type]
