"""Columns that say what a label is, which may not be known for new rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perceptrain_core.data.tables.columns import Column, is_gap

_SAME = 1 - 1e-9  # of the correlation with a label
_CLOSE = 0.999
#: With fewer rows than these, a column may separate the classes by chance.
_ROWS, _ROWS_PER_CLASS, _ROWS_PER_CATEGORY = 50, 5, 5


def is_copy(column: Column, label: Column, classes: bool) -> bool:
    """Return whether a column is a copy of a label without gaps, in other units or other names."""
    if is_gap(column).any():
        return False
    if not classes:
        return column.dtype != object and _correlation(column, label) > _SAME
    values, codes = np.unique(column, return_inverse=True)
    names, numbers = np.unique(label, return_inverse=True)
    return len(values) == len(names) == len(np.unique(codes * len(names) + numbers))


def what_reveals(column: Column, label: Column, classes: bool) -> str | None:
    """Return how a column alone determines a label, in a few words; ``None`` if it does not.

    Args:
        column: The column; rows in which it is missing do not count.
        label: The label.
        classes: Whether the label is a class.
    """
    known = ~is_gap(column)
    if known.sum() < max(_ROWS, len(column) // 2):
        return None
    column, label = column[known], label[known]
    if not classes:
        correlation = 0.0 if column.dtype == object else _correlation(column, label)
        return (
            f"its correlation with the label is {correlation:.4f}" if correlation > _CLOSE else None
        )
    names, numbers, counts = np.unique(label, return_inverse=True, return_counts=True)
    if len(names) < 2 or counts.min() < _ROWS_PER_CLASS:
        return None
    if column.dtype == object:
        pure = _one_class_each(column, numbers, len(names))
        return "each of its categories has one class" if pure else None
    return (
        "each class has a range of its values" if _separate(column, numbers, len(names)) else None
    )


def _correlation(column: Column, label: Column) -> float:
    if column.min() == column.max() or label.min() == label.max():
        return 0.0
    return float(abs(np.corrcoef(column, label)[0, 1]))


def _one_class_each(column: Column, numbers: NDArray[np.int64], classes: int) -> bool:
    values, codes = np.unique(column, return_inverse=True)
    frequent = len(values) * _ROWS_PER_CATEGORY <= len(column)
    return frequent and len(np.unique(codes * classes + numbers)) == len(values)


def _separate(column: Column, numbers: NDArray[np.int64], classes: int) -> bool:
    low, high = np.full(classes, np.inf), np.full(classes, -np.inf)
    np.minimum.at(low, numbers, column)
    np.maximum.at(high, numbers, column)
    order = low.argsort()
    return bool((high[order][:-1] < low[order][1:]).all())
