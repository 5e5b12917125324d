"""Inputs and labels from the columns of a CSV, Parquet or NPZ file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perceptrain_core.errors import DataError, MissingDependencyError

Columns = dict[str, Any]


def read_table(
    path: Path, inputs: Sequence[str], labels: Sequence[str], classes: bool | None = None
) -> tuple[Tensor, Tensor]:
    """Read inputs and labels from a file.

    Args:
        path: ``.csv`` (with a header line), ``.parquet`` or ``.npz`` (arrays of one length).
        inputs: The columns that are inputs, in this order. An NPZ array of shape ``(N, d)`` gives
            ``d`` inputs.
        labels: The columns that are labels.
        classes: Whether the label is a class: one column, whose values are numbered in sorted
            order. By default it is one if its values are text.

    Returns:
        Inputs of shape ``(N, inputs)``, float32; labels of shape ``(N, labels)``, float32, or
        ``(N,)``, int64, for classes.

    Raises:
        DataError: There is no such file or column, or a value is no finite number.
        MissingDependencyError: A Parquet file without pyarrow.
    """
    columns = _read(path, [*inputs, *labels])
    x = _stack(path, columns, inputs)
    if classes is None:
        classes = len(labels) == 1 and columns[labels[0]].dtype.kind in "USO"
    if not classes:
        return torch.from_numpy(x), torch.from_numpy(_stack(path, columns, labels))
    if len(labels) != 1:
        raise DataError(f"{path}: classes are one label, not {len(labels)}: {', '.join(labels)}.")
    _, numbers = np.unique(columns[labels[0]], return_inverse=True)
    return torch.from_numpy(x), torch.from_numpy(numbers.astype(np.int64))


def _read(path: Path, names: Sequence[str]) -> Columns:
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".npz": _read_npz}
    if path.suffix not in readers:
        raise DataError(f"{path}: expected a file named .csv, .parquet or .npz.")
    if not path.is_file():
        raise DataError(f"There is no data file {path}.")
    columns = readers[path.suffix](path)
    for name in names:
        if name not in columns:
            close = get_close_matches(name, columns, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(columns)}."
            raise DataError(f"{path} has no column {name!r}; {hint}")
    lengths = {name: len(columns[name]) for name in names}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{path}: the columns differ in length: {lengths}.")
    return columns


def _read_csv(path: Path) -> Columns:
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    short = next((i for i, row in enumerate(rows, start=2) if len(row) != len(header)), None)
    if short is not None:
        raise DataError(f"{path}, line {short}: expected {len(header)} values, as in the header.")
    return {name.strip(): _numbers([row[i] for row in rows]) for i, name in enumerate(header)}


def _numbers(values: list[str]) -> Any:
    """Numbers where all values are such, else text."""
    try:
        return np.array(values, dtype=np.float64)
    except ValueError:
        return np.array(values)


def _read_parquet(path: Path) -> Columns:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError(
            'Parquet files need pyarrow: pip install "perceptrain-core[parquet]".'
        ) from error
    table = parquet.read_table(path)
    return {name: table.column(name).to_numpy() for name in table.column_names}


def _read_npz(path: Path) -> Columns:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _stack(path: Path, columns: Columns, names: Sequence[str]) -> Any:
    parts = []
    for name in names:
        column = columns[name]
        if column.dtype.kind not in "fiub":
            wrong = next(value for value in column.tolist() if not _is_number(value))
            raise DataError(f"{path}, column {name!r}: {wrong!r} is no number.")
        if not np.isfinite(column).all():
            row = int(np.argwhere(~np.isfinite(column))[0][0]) + 1
            raise DataError(f"{path}, column {name!r}: row {row} is not a finite number.")
        parts.append(column.reshape(len(column), -1).astype(np.float32))
    return np.concatenate(parts, axis=1)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
