"""Running means of the loss and the metrics of an epoch, read once at its end."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from perceptrain_core.engine import Engine
from perceptrain_core.errors import LossContractError
from perceptrain_core.tensors import describe, parts_of
from perceptrain_core.types import Metrics

#: Means by name, ``train_loss`` and so on.
Row: TypeAlias = dict[str, float]

#: By name sums, and the number of rows or batches in each.
Totals: TypeAlias = tuple[dict[str, float], dict[str, int]]


class Meter:
    """Sum detached tensors on their device; nothing is read, and nothing is kept, per batch.

    Where the rows of the batches are given, the means are over the rows, and a last batch that is
    smaller counts less; else they are over the batches. A metric that only some batches have is
    averaged over those.

    Args:
        prefix: ``"train"``, ``"val"`` or ``"test"``; the loss is ``train_loss`` and so on.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.batches = 0
        # Sums for each size of batch, of which an epoch has two at most as a rule: so the loop
        # need not multiply.
        self._sums: dict[int, dict[str, Any]] = {}
        self._counts: dict[int, dict[str, int]] = {}

    def add(self, loss: Tensor, metrics: Metrics, rows: int = 1) -> None:
        """Take the loss and the metrics, detached, of one batch of so many rows."""
        self.batches += 1
        values = {"loss": loss, **metrics}
        values["loss"] = loss  # a metric of that name is not to hide it
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
        """Give the mean of the loss and of each metric, as floats.

        Raises:
            LossContractError: A metric is not a scalar.
        """
        return means_of([self.totals()], self.prefix)

    def totals(self) -> Totals:
        """Give for the loss and each metric the sum, as a float, and the weight of what it sums.

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
        """Give the sums so far."""
        return {"batches": self.batches, "sums": self._sums, "counts": self._counts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from these sums."""
        self.batches, self._sums, self._counts = state["batches"], state["sums"], state["counts"]


def means_of(parts: list[Totals], prefix: str) -> Row:
    """Give the means over what several processes summed; the loss is NaN if there was nothing."""
    (totals, weights), *others = parts
    for more, counts in others:
        for name, total in more.items():
            totals[name] = totals.get(name, 0.0) + total
            weights[name] = weights.get(name, 0) + counts[name]
    if not totals:  # every batch was skipped
        return {f"{prefix}_loss": float("nan")}
    return {f"{prefix}_{name}": total / weights[name] for name, total in totals.items()}


def reduce_row(engine: Engine, row: Row, average: bool) -> Row:
    """Give the row that all processes go by: the mean of theirs, or that of the first.

    Args:
        engine: Connects the processes.
        row: That of this process.
        average: Whether it is the mean; of a metric, over the processes that have it.
    """
    rows = engine.gather(row)
    if not average:
        return rows[0]
    names = dict.fromkeys(name for each in rows for name in each)
    return {name: fmean(each[name] for each in rows if name in each) for name in names}


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise LossContractError(
            f"The metric {name!r} must be a number or a 0-dim tensor, got {describe(value)}."
        ) from None


def rows_of(batch: Any) -> int:
    """Give the number of rows of a batch, where it tells.

    It is the length of a tensor or an array; of the first in a tuple or list; and the one that
    the parts of a mapping or a dataclass share. What has no rows (numbers, text) does not count.
    """
    return _rows(batch) or 1


def _rows(batch: Any) -> int | None:
    if isinstance(batch, Tensor | np.ndarray):
        return len(batch) if batch.ndim else None
    lengths = [rows for part in parts_of(batch) or () if (rows := _rows(part)) is not None]
    in_order = isinstance(batch, tuple | list)
    return lengths[0] if lengths and (in_order or len(set(lengths)) == 1) else None
