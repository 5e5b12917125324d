"""Tables of metrics: look up a metric, and find the best epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import TypeAlias

from perceptrain_core.metrics_file import COUNTERS, Row

Point: TypeAlias = tuple[float, float]


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
