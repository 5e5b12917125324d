"""Lists of times: of Python, of NumPy or of torch."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from numbers import Real
from typing import Any


def numbers_of(values: Any) -> list[float]:
    """Return the finite real numbers of a list, a tuple, an array or a tensor as floats.

    Returns:
        The numbers in their order; none of them if ``values`` is, or has, anything else.
    """
    given = values.tolist() if hasattr(values, "tolist") else values
    if not isinstance(given, Sequence) or not all(map(_is_finite, given)):
        return []
    return [float(value) for value in given]


def _is_finite(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and isfinite(value)
