"""Batches of one step, and of several processes, weighted as in one large batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.training.counts import (
    by_term,
    count_of,
    counted_sum,
    counts_by_name,
    counts_of,
    loss_count,
    rows_of,
    terms_vary,
)
from perceptrain_core.types import Count, Counted, Metrics


class BatchWeights:
    """How much each batch of a step counts towards the mean gradient.

    A loss that is a mean counts by what it is a mean over, relative to the first batch, so that
    equal batches have the weight 1. A batch in which nothing counts has the weight 0. Losses that
    are sums are added. If the terms of a loss have means of their own, in proportions that differ
    from batch to batch, no weight of a batch is right: such losses wait, to be differentiated
    together.

    Args:
        total: Returns the sum of a count over all processes; ``None`` for a single process.
        world_size: The number of processes, over which gradients are averaged.
        uneven: Whether the batches are known to be such, see `is_uneven`.

    Attributes:
        waiting: The results and batches to differentiate together.
    """

    def __init__(
        self,
        total: Callable[[Count], Count] | None = None,
        world_size: int = 1,
        uneven: bool = False,
    ) -> None:
        self.waiting: list[tuple[Any, Any]] = []
        self._uneven = uneven
        self._sum: Count = 0.0
        self._total = total
        self._world_size = world_size
        self._first: Count | None = None

    def add(self, loss: Tensor, metrics: Metrics, batch: Any) -> Tensor | None:
        """Return what to differentiate for a batch; ``None`` if it has to wait."""
        if self._total is None and (
            self._uneven or terms_vary(metrics) or has_other_terms(metrics, batch)
        ):
            self.waiting.append(((loss, metrics), batch))
            return None
        count = loss_count(metrics, batch)
        if count is None:
            self._sum = 1.0
            return loss * self._world_size
        everywhere = count if self._total is None else self._total(count)
        if self._first is None:
            self._first = everywhere
        weight = _ratio(everywhere, self._first)
        self._sum = self._sum + weight
        if self._total is None:
            return loss * weight
        if not terms_vary(metrics):
            return loss * _ratio(weight * count * self._world_size, everywhere)
        parts, counts = loss_parts(loss, metrics), counts_of(metrics, batch)
        shares = {name: self._share(count_of(name, counts)) for name in parts}
        return weight * sum((shares[name] * part for name, part in parts.items()), loss * 0)

    def _share(self, count: Count | None) -> Count:
        """Return the factor of a term in this process, whose mean over processes is 1."""
        if count is None or self._total is None:
            return self._world_size
        return _ratio(count * self._world_size, self._total(count))

    def divide(self, gradients: list[Tensor]) -> None:
        """Divide the sum of the gradients of all batches, so that it is their mean."""
        if isinstance(self._sum, Tensor) or self._sum not in (0, 1):
            torch._foreach_div_(gradients, _nonzero(self._sum))


def pooled_loss(results: Sequence[tuple[Any, Any]]) -> Tensor:
    """Return the loss of one batch that has the rows of all.

    Args:
        results: The loss and the metrics of each batch, and the batch.
    """
    if len(results) == 1:
        return results[0][0][0]  # type: ignore[no-any-return]
    sums: dict[Any, Any] = {}
    totals: dict[Any, Any] = {}
    for (loss, metrics), batch in results:
        counts = counts_of(metrics, batch)
        for name, value in loss_parts(loss, metrics).items():
            count = count_of(name, counts)
            sums[name] = sums.get(name, 0.0) + counted_sum(value, count)
            totals[name] = totals.get(name, 0.0) + (0.0 if count is None else count)
    pooled: Any = sum(sums[name] / totals[name] if totals[name] else sums[name] for name in sums)
    return pooled  # type: ignore[no-any-return]


def loss_parts(loss: Tensor, metrics: Metrics) -> dict[Any, Any]:
    """Split a loss into its terms and the rest, with the names of `by_term`."""
    terms = metrics.terms if isinstance(metrics, Counted) else None
    parts = by_term({**metrics, "loss": loss}, terms)
    return {name: value for name, value in parts.items() if name not in metrics}


def is_uneven(batches: Sequence[Any]) -> bool:
    """Whether batches are dicts whose parts have rows in different proportions.

    Then the terms of a loss have different weights in each batch, and a batch has no weight.
    """
    if len(batches) < 2 or not all(isinstance(batch, Mapping) for batch in batches):
        return False
    first, *others = ([rows_of(part) for part in batch.values()] for batch in batches)
    return any(
        len(rows) != len(first)
        or any(n * first[0] != m * rows[0] for n, m in zip(rows, first, strict=True))
        for rows in others
    )


def _ratio(count: Count, other: Count) -> Count:
    """Divide by a count; by 1 if it is 0, as when no label of a batch counts."""
    return count / _nonzero(other)


def _nonzero(count: Count) -> Count:
    if isinstance(count, Tensor):  # not read: a GPU would make it wait
        return torch.where(count == 0, 1.0, count)
    return count or 1.0


def has_other_terms(metrics: Metrics, batch: Any) -> bool:
    """Whether a loss has terms with counts of their own that are not named after parts of a batch.

    Then only the counts of all batches tell how much each term of a batch counts.
    """
    if not counts_by_name(metrics):
        return False
    parts = batch[-1] if isinstance(batch, tuple | list) and batch else batch  # labels by name
    named = parts if isinstance(parts, Mapping) else ()
    return any(name not in named for name in getattr(metrics, "terms", None) or ())
