"""What the loss and the metrics of a batch are means over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import torch
from torch import Tensor

from perceptrain_core.data.dict_loader import PartlyRepeated
from perceptrain_core.tensors import Detached, parts_of
from perceptrain_core.types import Count, Counted, Metrics

#: One count for all values, ``None`` if they are sums; or counts by name.
Counts: TypeAlias = Count | dict[str, Count | None] | None


def counts_of(metrics: Metrics, batch: Any) -> Counts:
    """Return what the loss and the metrics of a batch are means over.

    Counts on the CPU are numbers. If the loss is a sum of terms with counts of their own, its count
    is their sum, without that of terms that are sums themselves.

    Args:
        metrics: The metrics that the loss returned.
        batch: Its rows count unless the metrics say otherwise.
    """
    if not isinstance(metrics, Counted):
        return rows_of(batch)
    count = metrics.count
    if not isinstance(count, Mapping):
        return _number(count)
    counts = {name: _number(one) for name, one in count.items()}
    terms = metrics.terms or ()
    if not counts.keys() >= set(terms):
        counts = dict.fromkeys(terms, rows_of(batch)) | counts
    means: list[Any] = [count for name in terms if (count := counts[name]) is not None]
    if terms and not means:
        counts.setdefault("loss", None)
    # Rows are counted only where nothing else is: that takes longer than all the rest.
    rest = sum(means) if means else rows_of(batch)
    return dict.fromkeys(("loss", *metrics), rest) | counts


def with_counts(metrics: Metrics) -> Metrics:
    """Return the metrics that have the counts and the graph of the terms.

    A weighted loss keeps them beside its detached metrics.
    """
    return metrics.like if isinstance(metrics, Detached) else metrics


def counts_by_name(metrics: Metrics) -> dict[str, Any]:
    """Return the counts that metrics have by name, as given; empty if they have none or one."""
    count = metrics.count if isinstance(metrics, Counted) else None
    return dict(count) if isinstance(count, Mapping) else {}


def count_of(name: Any, counts: Counts) -> Count | None:
    """Return the count of a value or of a part of the loss, as `by_term` names it."""
    if not isinstance(counts, dict):
        return counts
    return counts[source_of(name)]


def counted_sum(mean: Any, count: Count | None) -> Any:
    """Return the sum that a mean was taken of; 0 if nothing counted, whose mean may be NaN."""
    if count is None:
        return mean
    if isinstance(count, Tensor):  # on a GPU, which would wait if it were read
        return torch.where(count == 0, 0.0, mean * count)
    return mean * count if count else 0.0


def source_of(name: Any) -> str:
    """Return the name of the value that a part of the loss comes from."""
    return str((name[1] or name[0]) if isinstance(name, tuple) else name)


def by_term(values: Mapping[str, Any], terms: Mapping[str, Any] | None) -> dict[Any, Any]:
    """Split a loss, or a sum of losses, into its terms and the rest.

    Args:
        values: The loss and the metrics by name.
        terms: The weights of the terms, if the loss has terms with means of their own.

    Returns:
        The values, with ``("loss", term)`` for each term and ``("loss", "")`` for the rest instead
        of ``"loss"``.
    """
    if not terms:
        return dict(values)
    parts = {("loss", name): values[name] * w for name, w in terms.items() if name in values}
    others = {name: value for name, value in values.items() if name != "loss"}
    return {**others, **parts, ("loss", ""): values["loss"] - sum(parts.values())}


def has_own_terms(metrics: Metrics) -> TypeGuard[Counted]:
    """Whether a loss has terms with counts of their own."""
    return bool(getattr(metrics, "terms", None)) and bool(counts_by_name(metrics))


def without_repeated(metrics: Metrics, batch: Any) -> Metrics:
    """Return metrics in which the terms of parts that an evaluation has seen do not count again.

    A term belongs to the part of the batch that has its name.
    """
    if not isinstance(batch, PartlyRepeated) or not isinstance(metrics, Counted):
        return metrics
    counts = counts_by_name(metrics)
    if not counts:
        return metrics
    counts |= {name: 0 for name in counts if name in batch.repeated}
    return Counted(metrics, counts, metrics.terms)


def loss_count(metrics: Metrics, batch: Any) -> Count | None:
    """Return what the loss of a batch is a mean over; ``None`` if it is a sum."""
    counts = counts_of(metrics, batch)
    return count_of("loss", counts)


def _number(count: Count | None) -> Count | None:
    # Reading a tensor on a GPU would make it wait.
    if isinstance(count, Tensor):
        return count.item() if count.device.type == "cpu" else count
    return count


def rows_of(batch: Any) -> int:
    """Return the number of rows of a batch, or 1 if it cannot be told.

    It is the length of a tensor or array, of the first one in a tuple or list, and the common
    length of the parts of a mapping or dataclass; parts of different lengths count once together.
    A list of tuples, or of tensors of different lengths or without dimensions, is a list of rows
    that were not stacked, as ``collate_fn=list`` returns. Numbers and text have no rows.
    """
    rows = _rows(batch)
    return 1 if rows is None else rows


def why_unclear(batch: Any) -> str | None:
    """Return why the number of rows of a batch is not certain; ``None`` if it is.

    A list of tensors may have the columns of a batch or rows that were not stacked. Up to three
    with a common length are taken for inputs, labels and weights.
    """
    if not isinstance(batch, list):
        return None
    lengths = part_lengths(batch)
    shapes = {part.shape if isinstance(part, Tensor | np.ndarray) else None for part in batch}
    if _are_rows(batch) and shapes != {None}:
        return f"a list of {len(batch)} tensors of different lengths counts as {len(batch)} rows"
    if len(batch) > 3 and len(shapes) == 1 and lengths:
        return (
            f"a list of {len(batch)} tensors of one shape counts as {lengths[0]} rows, the length "
            "of each"
        )
    return None


def part_lengths(batch: Any) -> tuple[int, ...]:
    """Return the lengths of the parts of a batch, of those that have one."""
    return tuple(rows for part in parts_of(batch) or () if (rows := _rows(part)) is not None)


def _rows(batch: Any) -> int | None:
    if type(batch) is Tensor or isinstance(batch, Tensor | np.ndarray):
        return len(batch) if batch.ndim else None
    if type(batch) is list and _are_rows(batch):
        return len(batch)
    lengths = part_lengths(batch)
    in_order = isinstance(batch, tuple | list)
    return lengths[0] if lengths and (in_order or len(set(lengths)) == 1) else None


def _are_rows(parts: list[Any]) -> bool:
    """Whether the parts of a list cannot be columns, which have a common length."""
    if not parts:
        return False
    if type(parts[0]) is tuple:
        return all(type(part) is tuple for part in parts)
    length = None
    for part in parts:
        # The usual class first: asking for others takes longer than all the rest.
        if type(part) is not Tensor and not isinstance(part, Tensor | np.ndarray):
            return False
        if shape := part.shape:
            if length is not None and shape[0] != length:
                return True
            length = shape[0]
    return length is None
