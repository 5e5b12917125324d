"""Counts on the first batch: those that a loss returns, and those that it should return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from typing import Any

from torch import Tensor

from perceptrain_core.counts import rows_of, why_unclear, with_counts
from perceptrain_core.errors import DataError, LossContractError
from perceptrain_core.tensors import describe
from perceptrain_core.types import Counted, Metrics
from perceptrain_core.user_warnings import warn_user

_EXPECTED = (
    "expected a finite number of at least 0, or a 0-dim tensor: how many rows or labels count, or "
    "the sum of their weights"
)


def check_counts(metrics: Metrics) -> None:
    """Check the counts and the terms of metrics, which are read.

    Raises:
        LossContractError: A count is negative, not finite or not a number, a weight of a term is
            not a finite number, or a name belongs to no metric.
    """
    counted = with_counts(metrics)
    if not isinstance(counted, Counted):
        return
    names = {"loss", *metrics}
    counts = counted.count if isinstance(counted.count, Mapping) else {"": counted.count}
    for name, count in counts.items():
        if name and name not in names:
            raise LossContractError(_unknown("count", name, metrics))
        if count is not None and not (_is_number(count) and float(count) >= 0):
            of = f" of {name!r}" if name else ""
            raise LossContractError(f"The count{of} is {_shown(count)}; {_EXPECTED}.")
    for name, weight in (counted.terms or {}).items():
        if name not in metrics:
            raise LossContractError(_unknown("term", name, metrics))
        if not _is_number(weight):
            raise LossContractError(
                f"The weight of the term {name!r} is {_shown(weight)}; expected a finite number, "
                "the factor of this metric in the loss."
            )


def _unknown(what: str, name: Any, metrics: Metrics) -> str:
    return (
        f"Counted has a {what} named {name!r}, and no metric has this name. The metrics are "
        f"{', '.join(map(repr, metrics)) or 'none'}: use their names"
        + (', or "loss" for the loss.' if what == "count" else ".")
    )


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor) and (value.ndim or value.is_complex()):
        return False
    if isinstance(value, bool) or (hasattr(value, "__len__") and not isinstance(value, Tensor)):
        return False
    try:
        return isfinite(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError):
        return False


def _shown(value: Any) -> str:
    if isinstance(value, Tensor) and not value.ndim:
        return f"{value.item()}"
    return describe(value)


def refuse_empty(batch: Any, where: str) -> None:
    """Raise an error if a batch has no rows, which explains a loss that is NaN.

    Raises:
        DataError: It has none.
    """
    if rows_of(batch) == 0:
        raise DataError(
            f"The batch {where} has no rows, so its loss is NaN. Leave empty batches out of the "
            "loader, or raise perceptrain.SkipBatch in the loss."
        )


@contextmanager
def made_counts() -> Iterator[list[Counted]]:
    """Collect the counts that are made inside a ``with`` block, also by losses inside others."""
    made: list[Counted] = []
    Counted.made.append(made)
    try:
        yield made
    finally:  # in any order, as first batches of several threads end
        Counted.made[:] = [other for other in Counted.made if other is not made]


def warn_of_uncounted(metrics: Metrics, batch: Any, made: list[Counted]) -> None:
    """Warn if metrics count by rows and should not, or if the rows of the batch are unclear.

    Args:
        metrics: The metrics of the first batch.
        batch: The batch; there are others, with which means are taken.
        made: The counts made during the evaluation.

    Warns:
        UserWarning: A loss inside the loss returned other counts, or the number of rows is not
            certain.
    """
    if isinstance(with_counts(metrics), Counted):
        return
    rows = rows_of(batch)
    lost = next((text for one in made if (text := _differs(one, rows)) is not None), None)
    if lost is not None:
        warn_user(
            f"A loss inside the loss returned {lost}, and the loss itself returned a plain dict, "
            f"so that its means count each batch by its rows, here {rows}. {{**metrics}} drops the "
            "counts: return metrics | {...}, or Counted({...}, metrics.count, metrics.terms). If "
            "rows are right, say so: Counted({...}, len(labels))."
        )
    elif (unclear := why_unclear(batch)) is not None:
        warn_user(
            f"Means over several batches count each batch by its rows, and {unclear}. Return the "
            "metrics with the number that the loss is a mean over: Counted({...}, number)."
        )


def _differs(counted: Counted, rows: int) -> str | None:
    """Describe a count that is not the number of rows or a multiple of it; ``None`` for others."""
    counts = counted.count if isinstance(counted.count, Mapping) else {"": counted.count}
    for name, count in counts.items():
        if count is None:
            return "sums (the count None)"
        if _is_number(count) and rows and float(count) % rows:
            return f"the count {float(count):g}" + (f" of {name!r}" if name else "")
    return None
