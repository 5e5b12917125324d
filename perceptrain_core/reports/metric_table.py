"""Tables of metrics: read them, look up a metric, and find the best epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path
from typing import TypeAlias

from perceptrain_core.errors import DataError

Row: TypeAlias = dict[str, float]
Point: TypeAlias = tuple[float, float]

#: The columns that count rows.
COUNTERS = ("epoch", "step")


def read_rows(path: Path) -> list[Row]:
    """Read the complete rows of a table of numbers; a killed run may have cut the last one.

    Args:
        path: A CSV file with a header. Without the file there are no rows.

    Returns:
        A dict for each row, without its empty cells.

    Raises:
        DataError: A cell is not a number, or the file is not CSV.
    """
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    reader = csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    try:
        columns = next(reader, [])
        lines = [(reader.line_num, line) for line in reader if len(line) == len(columns)]
    except csv.Error as error:
        raise DataError(f"{path} is not CSV: {error}.") from None
    return [_row(path, number, columns, line) for number, line in lines]


def _row(path: Path, number: int, columns: Sequence[str], line: Sequence[str]) -> Row:
    row: Row = {}
    for name, cell in zip(columns, line, strict=True):
        try:
            if cell.strip():
                row[name] = float(cell)
        except ValueError:
            raise DataError(
                f"{path}, line {number}, column {name!r}: expected a number, got {cell[:40]!r}."
            ) from None
    if not all(isfinite(row.get(name, 0.0)) for name in COUNTERS):
        raise DataError(f"{path}, line {number}: expected a finite epoch and step.")
    return row


def metric_names(rows: Sequence[Row]) -> list[str]:
    """Return the names of all metrics, in order of appearance."""
    return [n for n in dict.fromkeys(name for row in rows for name in row) if n not in COUNTERS]


def points(rows: Sequence[Row], name: str, along: str = "epoch") -> list[Point]:
    """Return the values of a metric along epochs or steps, where it has one."""
    return [(row.get(along, float(i)), row[name]) for i, row in enumerate(rows, 1) if name in row]


def best_row(rows: Sequence[Row], monitor: str, mode: str) -> Row | None:
    """Return the row with the best value of a metric.

    Args:
        rows: The history.
        monitor: The metric; if no row has it, the validation loss or the training loss.
        mode: ``"min"`` or ``"max"``.
    """
    choose: Callable[..., Row] = min
    for name in (monitor, "val_loss", "train_loss"):
        found = [(i, row) for i, row in enumerate(rows, 1) if isfinite(row.get(name, float("nan")))]
        if found:
            choose = max if name == monitor and mode == "max" else min
            number, row = choose(found, key=lambda item: item[1][name])
            return {"epoch": float(number), **row}
    return None
