"""Values in memory as arrays that keep what is missing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceptrain_core.errors import DataError


def array_of(values: Any, name: str) -> NDArray[Any]:
    """Return values as an array, in which masked values of a masked array are missing.

    Args:
        values: An array, a tensor, a series, or a list or tuple of values or of rows.
        name: The name of the column, for messages.

    Raises:
        DataError: The values are lists of different lengths.
    """
    if isinstance(values, np.ma.MaskedArray):
        return _unmasked(values)
    try:
        array = np.asarray(values)
        # Among texts, NumPy writes NaN and None as the texts "nan" and "None".
        if array.dtype.kind == "U" and not hasattr(values, "dtype"):
            return np.array(values, dtype=object)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise DataError(
            f"Column {name!r} holds lists of different lengths; expected one value for each row, "
            "or rows of one length."
        ) from None
    return array


def is_missing(value: Any) -> bool:
    """Return whether a value is missing: ``None``, NaN, NaT, ``pandas.NA`` or masked."""
    if value is None or isinstance(value, np.ma.core.MaskedConstant):
        return True
    if isinstance(value, Decimal):
        return value.is_nan()  # a comparison with a signalling NaN raises
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    if isinstance(value, float | np.floating):
        return bool(value != value)
    # pandas may not be installed, and is slow to import.
    return type(value).__name__ in ("NAType", "NaTType")


def _unmasked(values: Any) -> NDArray[Any]:
    if not np.ma.is_masked(values):
        return np.asarray(values)
    kind = np.float64 if values.dtype.kind in "fiu" else object
    array: NDArray[Any] = np.array(values.data, dtype=kind)
    array[np.ma.getmaskarray(values)] = None  # NaN among floats
    return array
