"""Read ``metrics.csv`` and ``validations.csv``; importing this does not import torch."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TypeAlias

from perceptrain_core.errors import DataError
from perceptrain_core.regular_file import is_special

Row: TypeAlias = dict[str, float]

METRICS, VALIDATIONS, TEST = "metrics.csv", "validations.csv", "test.json"
#: The columns that count rows.
COUNTERS = ("epoch", "step")


def read_rows(path: Path) -> list[Row]:
    """Read the complete rows as numbers, without the empty cells.

    Args:
        path: The file. Without it there are no rows.

    Raises:
        DataError: The file cannot be read, or a cell is not a number.
    """
    columns, lines = _read(path, errors="strict")
    return [_numbers(path, number, columns, cells) for number, cells in lines]


def read_table(path: Path, number: str = "epoch") -> tuple[list[str], list[dict[str, str]]]:
    """Read the columns and the complete rows as text; rows that are not numbered are left out.

    Args:
        path: The file. Without it, or without the column ``number``, the table is empty.
        number: The column that numbers the rows.

    Raises:
        DataError: It is a pipe or a device, or cannot be read.
    """
    columns, lines = _read(path, errors="replace")
    if number not in columns:
        return [], []
    rows = [dict(zip(columns, cells, strict=True)) for _, cells in lines]
    return columns, [row for row in rows if row[number].isdecimal()]


def _read(path: Path, errors: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the columns, and the complete rows with the numbers of their lines.

    A run that was killed may have cut the last line.
    """
    if is_special(path):
        raise DataError(f"{path} is not a regular file.")
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        text = content[: content.rfind(b"\n") + 1].decode(errors=errors)
        reader = csv.reader(io.StringIO(text, newline=""))
        columns = next(reader, [])
        lines = [(reader.line_num, cells) for cells in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a file of metrics: {error}.") from None
    return columns, [line for line in lines if line[1] and len(line[1]) == len(columns)]


def _numbers(path: Path, number: int, columns: Sequence[str], cells: Sequence[str]) -> Row:
    row: Row = {}
    for name, cell in zip(columns, cells, strict=True):
        try:
            if cell.strip():
                row[name] = float(cell)
        except ValueError:
            raise DataError(
                f"{path} is not a file of metrics: line {number}, column {name!r}: expected a "
                f"number, got {cell[:40]!r}."
            ) from None
    if not all(isfinite(row.get(name, 0.0)) for name in COUNTERS):
        raise DataError(f"{path}, line {number}: expected a finite epoch and step.")
    return row
