"""Inputs and labels from the columns of a CSV, Parquet or NPZ file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from perceptrain_core.errors import DataError, MissingDependencyError, PerceptrainError

Column = NDArray[Any]
Columns = dict[str, Column]


def read_table(
    path: Path,
    inputs: Sequence[str],
    labels: Sequence[str],
    classes: bool | None = None,
    weights: str | None = None,
) -> tuple[Tensor, ...]:
    """Read inputs, labels and sample weights from a file.

    Args:
        path: ``.csv`` (with a header line), ``.parquet`` or ``.npz`` (arrays of one length).
        inputs: The input columns, in this order. An NPZ array of shape ``(N, d)`` counts as ``d``
            inputs.
        labels: The label columns.
        classes: Whether the labels are classes: a single column, whose values are numbered in
            sorted order. By default, true for a single column of text without numbers.
        weights: The column of sample weights, if there is one.

    Returns:
        Inputs of shape ``(N, inputs)``, float32; labels of shape ``(N, labels)``, float32, or
        ``(N,)``, int64, for classes; weights of shape ``(N,)``, float32, if there are any.

    Raises:
        DataError: The file or a column does not exist, the file cannot be read, or a value is
            missing, not a finite number, or a negative weight.
        MissingDependencyError: The file is a Parquet file, and pyarrow is not installed.
    """
    names = [*inputs, *labels, *([weights] if weights is not None else [])]
    columns = _read(path, list(dict.fromkeys(names)))
    x = torch.from_numpy(_stack(path, columns, inputs))
    y = torch.from_numpy(_labels(path, labels, columns, classes))
    return (x, y) if weights is None else (x, y, _weights(path, weights, columns))


def _labels(
    path: Path, labels: Sequence[str], columns: Columns, classes: bool | None
) -> NDArray[Any]:
    if classes is None:
        classes = len(labels) == 1 and _is_text(columns[labels[0]])
    if not classes:
        return _stack(path, columns, labels)
    if len(labels) != 1:
        raise DataError(f"{path}: classes need a single label column, not {', '.join(labels)}.")
    return _class_numbers(path, labels[0], columns)


def _weights(path: Path, name: str, columns: Columns) -> Tensor:
    numbers = _stack(path, columns, [name])
    if numbers.shape[1] != 1:
        raise DataError(
            f"{path}, column {name!r} has {numbers.shape[1]} values per row; weights need one."
        )
    if (numbers < 0).any():
        row = int((numbers[:, 0] < 0).argmax())
        raise DataError(
            f"{path}, column {name!r}: the weight in row {row + 1} is {numbers[row, 0]:g}; "
            "expected at least 0."
        )
    return torch.from_numpy(numbers[:, 0])


def _read(path: Path, names: Sequence[str]) -> Columns:
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".npz": _read_npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: expected a file named .csv, .parquet or .npz.")
    if not path.is_file():
        raise DataError(f"There is no data file {path}.")
    try:
        columns = reader(path, names)
    except PerceptrainError:
        raise
    except Exception as error:  # each format has its own errors
        raise DataError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{path}: the columns differ in length: {lengths}.")
    if not any(lengths.values()):
        raise DataError(f"{path} has no rows.")
    return columns


def _check_names(path: Path, names: Sequence[str], known: Iterable[str]) -> None:
    known = list(known)
    for name in names:
        if known.count(name) == 1:
            continue
        if name in known:
            raise DataError(f"{path} has several columns {name!r}: rename them.")
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known) or 'none'}."
        raise DataError(f"{path} has no column {name!r}; {hint}")


def _read_csv(path: Path, names: Sequence[str]) -> Columns:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, skipinitialspace=True)
        header = [name.strip() for name in next(reader, [])]
        _check_names(path, names, header)
        rows = []
        for row in filter(None, reader):  # an empty line, such as the last, is not a row
            if len(row) != len(header):
                raise DataError(
                    f"{path}, line {reader.line_num}: expected {len(header)} values, as in the "
                    f"header, not {len(row)}."
                )
            rows.append(row)
    return {name: _numbers([row[header.index(name)] for row in rows]) for name in names}


def _numbers(values: list[str]) -> Column:
    """Return numbers if all values are numbers, else text."""
    try:
        return np.array(values, dtype=np.float64)
    except ValueError:
        return np.array(values)


def _read_parquet(path: Path, names: Sequence[str]) -> Columns:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError(
            'Parquet files need pyarrow: pip install "perceptrain-core[parquet]".'
        ) from error
    _check_names(path, names, parquet.read_schema(path).names)
    table = parquet.read_table(path, columns=list(names))
    return {name: table.column(name).to_numpy() for name in names}


def _read_npz(path: Path, names: Sequence[str]) -> Columns:
    with np.load(path, allow_pickle=False) as arrays:
        _check_names(path, names, arrays.files)
        return {name: np.atleast_1d(arrays[name]) for name in names}


def _stack(path: Path, columns: Columns, names: Sequence[str]) -> NDArray[np.float32]:
    parts = [_float_column(f"{path}, column {name!r}", columns[name]) for name in names]
    return np.concatenate(parts, axis=1)


def _float_column(where: str, column: Column) -> NDArray[np.float32]:
    if column.dtype.kind not in "fiubUSO":
        raise DataError(f"{where} holds {column.dtype}; expected numbers.")
    if column.dtype.kind in "USO":
        for row, value in enumerate(column.tolist(), start=1):
            if not _is_number(value):
                raise DataError(f"{where}: {value!r} in row {row} is not a number.")
    with np.errstate(over="ignore"):  # too large for float32: infinite, and found below
        numbers = column.reshape(len(column), -1).astype(np.float32)
    finite = np.isfinite(numbers).all(axis=1)
    if not finite.all():
        raise DataError(f"{where}: row {int(finite.argmin()) + 1} is not a finite number.")
    return numbers


def _class_numbers(path: Path, name: str, columns: Columns) -> NDArray[np.int64]:
    values = columns[name].tolist()
    for row, value in enumerate(values, start=1):
        if value is None or value == "" or value != value or isinstance(value, list):
            raise DataError(f"{path}, column {name!r}: {value!r} in row {row} is not a class.")
    _, numbers = np.unique(values, return_inverse=True)
    return numbers.astype(np.int64)


def _is_text(column: Column) -> bool:
    return column.dtype.kind in "USO" and not any(map(_is_number, column.tolist()))


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
