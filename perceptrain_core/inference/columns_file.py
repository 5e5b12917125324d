"""Columns of predictions as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from numpy.typing import NDArray

Columns = Mapping[str, NDArray[Any]]


def write_csv_file(path: Path, parts: Iterable[Columns]) -> int:
    """Write successive parts of the same columns to a file, and return the number of rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        return write_csv(file, parts)


def write_csv(file: TextIO, parts: Iterable[Columns]) -> int:
    """Write successive parts of the same columns as CSV, and return the number of rows."""
    writer, written = csv.writer(file, lineterminator="\n"), 0
    for columns in parts:
        if not written:
            writer.writerow(columns)
        rows = list(zip(*(column.tolist() for column in columns.values()), strict=True))
        writer.writerows(rows)
        written += len(rows)
    return written
