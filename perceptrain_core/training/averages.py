"""Averages of the loss and the metrics over an epoch, read from the device once at its end."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from perceptrain_core.engine import Engine
from perceptrain_core.errors import LossContractError
from perceptrain_core.tensors import describe, parts_of
from perceptrain_core.types import Metrics, StepResult

#: Averages by name, ``train_loss`` and so on.
Row: TypeAlias = dict[str, float]

#: Sums by name, and the number of rows or batches in each.
Totals: TypeAlias = tuple[dict[str, float], dict[str, int]]


class Averages:
    """Sum detached tensors on their device, without reading or keeping them per batch.

    If `add` is called with the number of rows, averages are over rows, so that a smaller last batch
    counts less; otherwise they are over batches. A metric that only some batches have is averaged
    over those.

    Args:
        prefix: ``"train"``, ``"val"`` or ``"test"``; the loss is ``train_loss`` and so on.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.batches = 0
        # One set of sums per batch size, so that the loop need not multiply. An epoch rarely has
        # more than two sizes.
        self._sums: dict[int, dict[str, Any]] = {}
        self._counts: dict[int, dict[str, int]] = {}

    def add(self, loss: Tensor, metrics: Metrics, rows: int = 1) -> None:
        """Add the detached loss and metrics of one batch."""
        self.batches += 1
        values = {"loss": loss, **metrics}
        values["loss"] = loss  # even if a metric has that name
        if rows not in self._sums:
            self._sums[rows] = values
            self._counts[rows] = dict.fromkeys(values, 1)
            return
        sums, counts = self._sums[rows], self._counts[rows]
        for name, value in values.items():
            if name in sums:
                sums[name] = sums[name] + value
                counts[name] += 1
            else:
                sums[name] = value
                counts[name] = 1

    def means(self) -> Row:
        """Return the average of the loss and of each metric, as floats.

        Raises:
            LossContractError: A metric is not a scalar.
        """
        return means_of([self.totals()], self.prefix)

    def totals(self) -> Totals:
        """Return the sum and the weight of the loss and of each metric, as numbers.

        Raises:
            LossContractError: A metric is not a scalar.
        """
        totals: dict[str, float] = {}
        weights: dict[str, int] = {}
        for rows, sums in self._sums.items():
            counts = self._counts[rows]
            for name, value in sums.items():
                totals[name] = totals.get(name, 0.0) + rows * _number(name, value)
                weights[name] = weights.get(name, 0) + rows * counts[name]
        return totals, weights

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far."""
        return {"batches": self.batches, "sums": self._sums, "counts": self._counts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore sums from `state_dict`."""
        self.batches, self._sums, self._counts = state["batches"], state["sums"], state["counts"]


def means_of(parts: list[Totals], prefix: str) -> Row:
    """Return the averages over the sums of several processes; NaN as loss if there are none."""
    (totals, weights), *others = parts
    for more, counts in others:
        for name, total in more.items():
            totals[name] = totals.get(name, 0.0) + total
            weights[name] = weights.get(name, 0) + counts[name]
    if not totals:  # every batch was skipped
        return {f"{prefix}_loss": float("nan")}
    return {f"{prefix}_{name}": total / weights[name] for name, total in totals.items()}


def reduce_row(engine: Engine, row: Row, average: bool) -> Row:
    """Return the row that all processes report.

    Args:
        engine: Connects the processes.
        row: The row of this process.
        average: Return the average over the processes, for a metric over those that have it;
            otherwise the row of the first process.
    """
    rows = engine.gather(row)
    if not average:
        return rows[0]
    names = dict.fromkeys(name for each in rows for name in each)
    return {name: fmean(each[name] for each in rows if name in each) for name in names}


def reduce_result(engine: Engine, result: StepResult, average: bool) -> StepResult:
    """Return the loss and metrics of a step that all processes report, as `reduce_row` does."""
    if engine.world_size == 1:
        return result
    loss, metrics = result
    row = {name: float(value) for name, value in {**metrics, "": loss}.items()}
    row = reduce_row(engine, row, average)
    return loss.new_tensor(row.pop("")), row


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise LossContractError(
            f"The metric {name!r} must be a number or a 0-dim tensor, got {describe(value)}."
        ) from None


def rows_of(batch: Any) -> int:
    """Return the number of rows of a batch, or 1 if it cannot be told.

    It is the length of a tensor or array, of the first one in a tuple or list, and the common
    length of the parts of a mapping or dataclass. Numbers and text have no rows.
    """
    return _rows(batch) or 1


def _rows(batch: Any) -> int | None:
    if isinstance(batch, Tensor | np.ndarray):
        return len(batch) if batch.ndim else None
    lengths = [rows for part in parts_of(batch) or () if (rows := _rows(part)) is not None]
    in_order = isinstance(batch, tuple | list)
    return lengths[0] if lengths and (in_order or len(set(lengths)) == 1) else None
