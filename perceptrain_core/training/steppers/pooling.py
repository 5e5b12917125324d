"""Batches of one step, and of several processes, weighted as in one large batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.counts import (
    by_term,
    count_of,
    counted_sum,
    counts_by_name,
    counts_of,
    has_own_terms,
    loss_count,
    rows_of,
    with_counts,
)
from perceptrain_core.engine import Engine
from perceptrain_core.errors import LossContractError
from perceptrain_core.processes import describe_difference, hash_of_names
from perceptrain_core.types import Count, Counted, Metrics

# How many counts travel at least: a process may have fewer terms than the others.
_TOGETHER = 8

_TERMS_DIFFER = (
    "The loss has terms with counts of their own for some batches of a step, but none for others. "
    "Return Counted with the same terms for every batch; a term to which no row of a batch belongs "
    "has the count 0."
)


class BatchWeights:
    """How much each batch of a step counts towards the mean gradient.

    A loss that is a mean counts by what it is a mean over, relative to the first batch, so that
    equal batches have the weight 1. A batch in which nothing counts has the weight 0. Losses that
    are sums are added. If the terms of a loss have means of their own, in proportions that may
    differ from batch to batch, no weight of a batch is right: such losses wait, to be
    differentiated together. If one loss of a step waits, all have to, see `is_mixed`.

    Args:
        engine: Connects several processes; ``None`` for a single one.
        uneven: Whether the batches are known to be such, see `is_uneven`.
        unit: What a batch of weight 1 is a mean over, if the processes agreed on it; else this
            belongs to the first batch of each.

    Attributes:
        waiting: The results and batches to differentiate together.
    """

    def __init__(
        self, engine: Engine | None = None, uneven: bool = False, unit: float | None = None
    ) -> None:
        self.waiting: list[tuple[Any, Any]] = []
        self._engine = engine
        self._uneven = uneven
        self._sum: Count = 0.0
        self._first: Count | None = unit
        self._total: Count | None = None
        self._at_once = False

    def add(self, loss: Tensor, metrics: Metrics, batch: Any) -> Tensor | None:
        """Return what to differentiate for a batch; ``None`` if it has to wait."""
        metrics = with_counts(metrics)
        if has_own_terms(metrics) and (self._uneven or _may_be_uneven(metrics, batch)):
            self.waiting.append(((loss, metrics), batch))
            return None
        self._at_once = True
        count = loss_count(metrics, batch)
        if count is None:
            self._sum = 1.0
            return loss
        if self._first is None:
            self._first = _nonzero(count)
        weight = count / self._first
        self._sum = self._sum + weight
        return loss * weight

    def is_mixed(self) -> bool:
        """Whether some losses wait, but others do not, in any process.

        Then the gradients are not those of the mean, and the step has to be repeated with
        ``uneven``. Called after the last batch, by all processes.

        Raises:
            LossContractError: This is the case although the batches are known to be uneven.
        """
        waiting, at_once = bool(self.waiting), self._at_once
        if self._engine is not None:
            total = 0.0 if self._first is None else self._sum * self._first
            *found, self._total = self._engine.totals([waiting, at_once, total])
            waiting, at_once = map(bool, found)
        if waiting and at_once and self._uneven:
            raise LossContractError(_TERMS_DIFFER)
        return waiting and at_once

    def divide(self, gradients: list[Tensor]) -> None:
        """Divide the sum of the gradients of all batches, so that it is their mean.

        With several processes, the sum of the gradients of all is the mean afterwards. Called after
        `is_mixed`.
        """
        divisor = self._sum
        if self._first is not None and self._total is not None:
            divisor = self._total / self._first
        if isinstance(divisor, Tensor) or divisor not in (0, 1):
            torch._foreach_div_(gradients, _nonzero(divisor))


def pooled_loss(
    results: Sequence[tuple[Any, Any]], engine: Engine | None = None, first: bool = False
) -> Tensor:
    """Return the loss of one batch that has the rows of all.

    Args:
        results: The loss and the metrics of each batch, and the batch.
        engine: Connects several processes, which have other batches: the sum of what each returns
            is the loss.
        first: Whether to check on a GPU, too, that all have the same terms.
    """
    if len(results) == 1 and engine is None:
        return results[0][0][0]  # type: ignore[no-any-return]
    sums: dict[Any, Any] = {}
    totals: dict[Any, Any] = {}
    for (loss, given), batch in results:
        metrics = with_counts(given)
        counts = counts_of(metrics, batch)
        for name, value in loss_parts(loss, metrics).items():
            count = count_of(name, counts)
            sums[name] = sums.get(name, 0.0) + counted_sum(value, count)
            if count is not None:
                totals[name] = totals.get(name, 0.0) + count
    if engine is not None:
        totals = _everywhere(totals, engine, first)
    pooled: Any = sum(value / _nonzero(totals.get(name, 1.0)) for name, value in sums.items())
    return pooled  # type: ignore[no-any-return]


def shared_loss(
    loss: Tensor, metrics: Metrics, batch: Any, engine: Engine, first: bool = False
) -> Tensor:
    """Return a loss whose sum over processes is that of one batch with the rows of all.

    Args:
        loss: The loss of the batch of this process.
        metrics: Its metrics.
        batch: The batch.
        engine: Connects the processes.
        first: Whether to check on a GPU, too, that all have the same terms.
    """
    metrics = with_counts(metrics)
    parts, counts = loss_parts(loss, metrics), counts_of(metrics, batch)
    own = {name: count_of(name, counts) for name in parts}
    means = {name: count for name, count in own.items() if count is not None}
    totals = _everywhere(means, engine, first)
    shares = {name: count / _nonzero(totals[name]) for name, count in means.items()}
    shared: Any = sum(shares.get(name, 1.0) * part for name, part in parts.items())
    return shared  # type: ignore[no-any-return]


def loss_parts(loss: Tensor, metrics: Metrics) -> dict[Any, Any]:
    """Split a loss into its terms and the rest, with the names of `by_term`."""
    if not has_own_terms(metrics):
        return {"loss": loss}
    parts = by_term({**metrics, "loss": loss}, metrics.terms)
    return {name: value for name, value in parts.items() if isinstance(name, tuple)}


def term_shares(parts: Sequence[tuple[Metrics, Any, Sequence[str]]]) -> list[dict[str, Any]]:
    """Return by how much to multiply the terms of each batch, so that they add up to one batch.

    Args:
        parts: For each batch its metrics, the batch, and the names of the terms of its loss.

    Returns:
        For each batch a factor by term: the share of the batch in what the term is a mean over, or
        1 for a sum.
    """
    if len(parts) == 1:
        return [dict.fromkeys(parts[0][2], 1.0)]
    counts = [_counts_of_terms(with_counts(metrics), *rest) for metrics, *rest in parts]
    totals: dict[str, Any] = {}
    for each in counts:
        for name, count in each.items():
            totals[name] = totals.get(name, 0.0) + (0.0 if count is None else count)
    return [
        {name: 1.0 if c is None else c / _nonzero(totals[name]) for name, c in each.items()}
        for each in counts
    ]


def _counts_of_terms(metrics: Metrics, batch: Any, names: Sequence[str]) -> dict[str, Count | None]:
    counts = counts_of(metrics, batch)
    own = metrics.terms or {} if has_own_terms(metrics) else {}
    return {name: count_of(("loss", name) if name in own else "loss", counts) for name in names}


def is_uneven(batches: Sequence[Any], engine: Engine | None = None) -> bool:
    """Whether batches are dicts whose parts have rows in different proportions.

    Then the terms of a loss have different weights in each batch, and a batch has no weight.

    Args:
        batches: The batches of a step.
        engine: Connects several processes, whose batches are compared, too.
    """
    if len(batches) < 2 or not all(isinstance(batch, Mapping) for batch in batches):
        return False
    rows = [[rows_of(part) for part in batch.values()] for batch in batches]
    if engine is None:
        return not all(_in_proportion(each, rows[0]) for each in rows)
    parts = zip(*rows, strict=False)
    everywhere = [round(float(total)) for total in engine.totals([sum(part) for part in parts])]
    return engine.any(not all(_in_proportion(each, everywhere) for each in rows))


def _in_proportion(rows: Sequence[int], others: Sequence[int]) -> bool:
    return len(rows) == len(others) and all(
        n * others[0] == m * rows[0] for n, m in zip(rows, others, strict=True)
    )


def _may_be_uneven(metrics: Counted, batch: Any) -> bool:
    """Whether terms may count in other proportions than the rows of the parts of a batch.

    A term belongs to the part of its name, or to the labels of its name. If it is not a mean over
    all rows of this part, it depends on their values, and only the counts of all batches tell how
    much each term of a batch counts.
    """
    parts = batch[-1] if isinstance(batch, tuple | list) and batch else batch  # labels by name
    if not isinstance(parts, Mapping):
        return True
    counts = counts_by_name(metrics)
    return any(
        name not in parts or not _is_by_rows(counts.get(name, 0), rows_of(parts[name]))
        for name in metrics.terms or ()
    )


def _is_by_rows(count: Count | None, rows: int) -> bool:
    # A count that is a tensor depends on the values of the batch, not on its shape alone.
    if isinstance(count, Tensor):
        return False
    return not count or (rows > 0 and count % rows == 0)


def _everywhere(counts: Mapping[Any, Count], engine: Engine, first: bool) -> dict[Any, Count]:
    """Return the sums of counts over all processes, whatever their order in each.

    Raises:
        LossContractError: Another process has other terms. On a GPU, which has to wait for that,
            only if ``first``.
    """
    names = tuple(sorted(counts, key=str))
    number = hash_of_names(tuple(map(str, names)))
    # As many numbers in all processes, also where one has fewer terms.
    filling = [0.0] * (-(1 + len(names)) % _TOGETHER)
    total, *sums = engine.totals([number, *(counts[name] for name in names), *filling])
    is_read = first or not isinstance(total, Tensor)
    if is_read and float(total) != number * engine.world_size:
        raise LossContractError(_other_terms(names, engine))
    return dict(zip(names, sums, strict=False))


def _other_terms(names: Sequence[Any], engine: Engine) -> str:
    """Describe the terms of all processes, all of which call this."""
    terms = [name[1] for name in names if isinstance(name, tuple) and name[1]]
    return (
        "The loss has terms with counts of their own, "
        f"{describe_difference(engine.gather(terms))}. Return Counted with the same terms in all "
        "processes; a term to which no row of a batch belongs has the count 0."
    )


def _nonzero(count: Count) -> Count:
    """Return a count to divide by: 1 if it is 0, as when no label of a batch counts."""
    if isinstance(count, Tensor):  # not read: a GPU would make it wait
        return torch.where(count == 0, 1.0, count)
    return count or 1.0
