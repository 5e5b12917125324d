"""The validation figures of a run: those of the weights in its folder.

``perceptrain runs``, ``report`` and ``compare`` all show these, so that a run has one figure of
each metric. `Run.evaluate` measures them at the end of the training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perceptrain_core.metrics_file import Row


def weights_epoch(record: Mapping[str, Any], rows: Sequence[Row]) -> int:
    """Return the epoch of the weights in a run folder; 0 before the first epoch.

    Args:
        record: What ``run.json`` holds; empty if the training has not ended.
        rows: A row for each epoch.
    """
    epoch = record.get("epoch")
    if isinstance(epoch, int) and epoch > 0:
        return epoch
    return int(max((row.get("epoch", n) for n, row in enumerate(rows, 1)), default=0))


def validation_figures(val: Row, record: Mapping[str, Any], rows: Sequence[Row]) -> Row:
    """Return the validation figures of the weights in a run folder.

    Args:
        val: What ``val.json`` holds, which was measured on these weights; empty without it.
        record: What ``run.json`` holds; empty if the training has not ended.
        rows: A row for each epoch.

    Returns:
        ``val``. Without it, the figures of the epoch that the weights are of, or of the last
        validation before it.
    """
    if val:
        return val
    epoch = weights_epoch(record, rows)
    until = [row for n, row in enumerate(rows, 1) if row.get("epoch", n) <= epoch]
    validated = [_validation(row) for row in reversed(until)]
    return next(filter(None, validated), {})


def _validation(row: Row) -> Row:
    return {name: value for name, value in row.items() if name.startswith("val_")}
