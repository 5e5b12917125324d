"""Columns of the input that are written beside the predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from perceptrain_core.data.tables.choice import choose_columns
from perceptrain_core.data.tables.columns import Column, Columns
from perceptrain_core.data.tables.read import column_names, read_columns

_EXACT = 2.0**53


def read_kept(path: Path, patterns: Sequence[str], separator: str | None, text: bool) -> Columns:
    """Read the columns of a table that are carried along.

    Args:
        path: The table.
        patterns: Names or patterns of columns, see `choose_columns`; without any, no column.
        separator: What separates the values of a CSV file; found out by default.
        text: Whether to keep numbers as the text that the file has; else whole numbers become
            int64.

    Raises:
        DataError: The file cannot be read, or a pattern fits no column.
    """
    if not patterns:
        return {}
    names = choose_columns(column_names(path, separator), patterns)
    columns = read_columns(path, names, separator, names if text else ())
    return {name: _whole(column) for name, column in columns.items()}


def _whole(column: Column) -> Column:
    if column.dtype == object or np.isnan(column).any():
        return column
    whole = (column == np.round(column)) & (np.abs(column) < _EXACT)
    return column.astype(np.int64) if whole.all() else column
