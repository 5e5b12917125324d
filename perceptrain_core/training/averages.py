"""Averages of the loss and the metrics over an epoch, read from the device once at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from torch import Tensor

from perceptrain_core.counts import (
    Counts,
    by_term,
    count_of,
    counted_sum,
    counts_of,
    loss_count,
    part_lengths,
    rows_of,
    source_of,
)
from perceptrain_core.engine import Engine
from perceptrain_core.errors import LossContractError
from perceptrain_core.tensors import describe
from perceptrain_core.types import Counted, Metrics, StepResult
from perceptrain_core.user_warnings import warn_user

#: Averages by name, ``train_loss`` and so on.
Row: TypeAlias = dict[str, float]

#: The sum of each value times its counts, and the sum of the counts. A value without a count is a
#: sum itself. Where terms of the loss have means of their own, they are named ``("loss", term)``.
Totals: TypeAlias = tuple[dict[Any, Any], dict[Any, Any]]

_MOST_GROUPS = 32


class Averages:
    """Average over an epoch; tensors are added on their device, and not kept per batch.

    Each batch is weighted by what its loss and metrics are means over, see `Counted`: by default
    its number of rows. A metric that only some batches have is averaged over those.

    Args:
        prefix: ``"train"``, ``"val"`` or ``"test"``; the loss is ``train_loss`` and so on.

    Attributes:
        nothing_counted: Whether the loss was a mean over nothing in all batches, so that its
            average is NaN; known once the averages are computed.
    """

    nothing_counted = False

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.batches = 0
        # Sums of the batches with equal counts, and how many these are: adding is all that the
        # loop does. An epoch rarely has more than two groups.
        self._groups: dict[Any, tuple[dict[str, Any], dict[str, int]]] = {}
        self._closed: Totals = ({}, {})
        self._steps: dict[str, tuple[Any, int]] = {}
        self._terms: Mapping[str, Any] = {}
        # The first batch waits: many PINNs have no other, and then nothing has to be counted.
        self._first: tuple[dict[str, Any], Metrics, Any] | None = None
        self._lengths: tuple[int, ...] | None = None

    def add(self, loss: Tensor, metrics: Metrics, batch: Any = None) -> None:
        """Add the detached loss and metrics of one batch."""
        self.batches += 1
        values = {"loss": loss, **metrics}
        values["loss"] = loss  # a metric of that name has the same value
        if self.batches == 1:
            self._first = values, metrics, batch
            return
        if self._first is not None:
            self._group_first()
        self._group(values, metrics, batch)

    def _group_first(self) -> None:
        if self._first is not None:
            self._group(*self._first)
            self._first = None

    def _group(self, values: dict[str, Any], metrics: Metrics, batch: Any) -> None:
        if type(metrics) is Counted:
            counts: Any = metrics.count
        else:
            counts = rows_of(batch)
            if counts == 1 and isinstance(batch, Mapping):
                self._compare_parts(part_lengths(batch))
        key = counts
        if type(counts) is not int:  # an integer, the usual case, is its own key
            counts = counts_of(metrics, batch)
            key = tuple(counts.items()) if isinstance(counts, dict) else counts
            self._terms = getattr(metrics, "terms", None) or self._terms
            if isinstance(counts, dict) and self._weights_vary() and values["loss"].is_cpu:
                # Each batch with its own weights. A GPU takes too long for that; it adds the
                # difference to the weights of the last batch up as if it were a term.
                self._terms = _numbers(self._terms)
                self._add_up(self._closed, _numbers(values), dict.fromkeys(values, 1), counts)
                return
        if key in self._groups:
            _add_to(self._groups[key], values)
        elif _on_device(counts):
            self._add_up(self._closed, values, dict.fromkeys(values, 1), counts)
        else:
            if len(self._groups) == _MOST_GROUPS:
                self._closed, self._groups = self._add_groups(), {}
            self._groups[key] = {}, {}
            _add_to(self._groups[key], values)

    def _weights_vary(self) -> bool:
        """Whether the terms have weights that training may change."""
        return any(isinstance(weight, Tensor) for weight in self._terms.values())

    def _compare_parts(self, lengths: tuple[int, ...]) -> None:
        """Warn if batches whose parts differ in length, and which count once, differ in size."""
        if self._lengths not in (None, lengths):
            warn_user(
                f"Means over several batches count each batch by its rows, and batches whose parts "
                f"have {_listed(self._lengths)} rows, then {_listed(lengths)}, count once each. "
                "Return the metrics with the number that the loss is a mean over: "
                "Counted({...}, number)."
            )
        self._lengths = lengths

    def add_step(self, name: str, value: Tensor) -> None:
        """Add a detached metric of a whole step; its average is over the steps."""
        total, steps = self._steps.get(name, (0.0, 0))
        self._steps[name] = total + value.double(), steps + 1

    def means(self) -> Row:
        """Return the average of the loss and of each metric, as floats.

        Raises:
            LossContractError: A metric is not a scalar.
        """
        if self._first is not None and not self._steps:
            values, metrics, batch = self._first
            if not isinstance(metrics, Counted) or loss_count(metrics, batch) != 0:
                return row_of(values, self.prefix)
        return self._means_of([self.totals()])

    def means_everywhere(self, engine: Engine) -> Row:
        """Return the averages over the batches of all processes."""
        if engine.world_size == 1:
            return self.means()
        return self._means_of(engine.gather(self.totals()))

    def _means_of(self, parts: list[Totals]) -> Row:
        self.nothing_counted = _nothing_counts(parts)
        return means_of(parts, self.prefix)

    def totals(self) -> Totals:
        """Return the totals, as numbers.

        Raises:
            LossContractError: A metric is not a scalar, or has the name of one of the trainer.
        """
        self._group_first()
        totals, counts = self._add_groups()
        for name, (value, steps) in self._steps.items():
            if name in totals:
                raise LossContractError(
                    f"The loss returns a metric {name!r}, and so does the trainer: rename that of "
                    "the loss."
                )
            totals[name], counts[name] = value, steps
        return (
            {name: _number(name, value) for name, value in totals.items()},
            {name: float(count) for name, count in counts.items()},
        )

    def _add_groups(self) -> Totals:
        totals = dict(self._closed[0]), dict(self._closed[1])
        for key, (sums, batches) in self._groups.items():
            numbers = _numbers(sums)
            self._add_up(totals, numbers, batches, dict(key) if isinstance(key, tuple) else key)
        return totals

    def _add_up(
        self, totals: Totals, sums: dict[str, Any], batches: dict[str, int], counts: Counts
    ) -> None:
        """Add the sums of batches with equal counts to the totals."""
        values, weights = totals
        for name, value in by_term(sums, self._terms).items():
            count = count_of(name, counts)
            if isinstance(value, Tensor):
                value = value.double()
            values[name] = values.get(name, 0.0) + counted_sum(value, count)
            if count is not None:
                weights[name] = weights.get(name, 0.0) + count * batches[source_of(name)]

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far."""
        self._group_first()
        return {
            "batches": self.batches,
            "groups": self._groups,
            "closed": self._closed,
            "steps": self._steps,
            "terms": dict(self._terms),
        }

    def load_all(self, states: list[Mapping[str, Any]]) -> None:
        """Restore the sums of several processes, from the `state_dict` of each."""
        for state in states:
            part = Averages(self.prefix)
            part.load_state_dict(state)
            sums, weights = part._add_groups()
            for mine, its in zip(self._closed, (sums, weights), strict=True):
                for name, value in its.items():
                    mine[name] = mine.get(name, 0.0) + value
            for name, (value, steps) in part._steps.items():
                total, before = self._steps.get(name, (0.0, 0))
                self._steps[name] = total + value, before + steps
            self._terms, self.batches = part._terms or self._terms, part.batches

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore sums from `state_dict`."""
        self.batches, self._groups = state["batches"], state["groups"]
        self._closed, self._terms = state["closed"], state["terms"]
        self._steps = state["steps"]


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: _number(name, value) for name, value in values.items()}


def _add_to(group: tuple[dict[str, Any], dict[str, int]], values: dict[str, Any]) -> None:
    """Add values in double precision, so that the sum of many batches is as exact as each."""
    sums, batches = group
    for name, value in values.items():
        if isinstance(value, Tensor) and value.is_cpu:  # a GPU would make it wait
            value = _number(name, value)
        if name in sums:
            sums[name] = sums[name] + value
            batches[name] += 1
        else:
            sums[name] = value.double() if isinstance(value, Tensor) else value
            batches[name] = 1


def _listed(lengths: tuple[int, ...] | None) -> str:
    return " and ".join(map(str, lengths or ()))


def _on_device(counts: Counts) -> bool:
    """Whether counts are tensors: reading them would make a GPU wait."""
    if isinstance(counts, dict):
        return any(isinstance(count, Tensor) for count in counts.values())
    return isinstance(counts, Tensor)


def row_of(values: Mapping[str, Any], prefix: str) -> Row:
    """Return the loss and the metrics of one batch, as floats."""
    return {f"{prefix}_{name}": _number(name, value) for name, value in values.items()}


def means_of(parts: list[Totals], prefix: str) -> Row:
    """Return the averages over the totals of several processes; NaN as loss if there are none."""
    totals, counts = _summed(parts)
    if not totals:  # every batch was skipped
        return {f"{prefix}_loss": float("nan")}
    row = {f"{prefix}_loss": 0.0}
    for name, value in totals.items():
        mean = _mean(value, counts.get(name))
        if isinstance(name, tuple):
            # A term of which nothing counts adds nothing.
            row[f"{prefix}_loss"] += 0.0 if counts.get(name) == 0 else mean
        else:
            row[f"{prefix}_{name}"] = mean
    if _nothing_counts(parts):
        row[f"{prefix}_loss"] = float("nan")
    return row


def _nothing_counts(parts: list[Totals]) -> bool:
    """Whether there was a loss, and all of its terms were means over nothing."""
    totals, counts = _summed(parts)
    of_loss = [counts.get(name) for name in totals if name == "loss" or isinstance(name, tuple)]
    return bool(of_loss) and all(count == 0 for count in of_loss)


def _summed(parts: list[Totals]) -> Totals:
    totals: dict[Any, float] = {}
    counts: dict[Any, float] = {}
    for values, weights in parts:
        for name, value in values.items():
            totals[name] = totals.get(name, 0.0) + value
        for name, weight in weights.items():
            counts[name] = counts.get(name, 0.0) + weight
    return totals, counts


def _mean(total: float, count: float | None) -> float:
    if count is None:  # a sum
        return total
    return total / count if count else float("nan")


def reduce_result(engine: Engine, result: StepResult, batch: Any, average: bool) -> StepResult:
    """Return the loss and metrics of a batch that all processes report.

    Args:
        engine: Connects the processes.
        result: That of this process.
        batch: The batch of this process.
        average: Return the result of one batch with the rows of all processes; otherwise that of
            the first process.
    """
    if engine.world_size == 1:
        return result
    loss, metrics = result
    if not average:
        numbers = _numbers({**metrics, "": loss})
        row = engine.broadcast(numbers)
        return loss.new_tensor(row.pop("")), row
    own = Averages("batch")
    own.add(loss, metrics, batch)
    means = own.means_everywhere(engine)
    row = {name.removeprefix("batch_"): mean for name, mean in means.items()}
    if "loss" not in metrics:
        return loss.new_tensor(row.pop("loss")), row
    return loss.new_tensor(row["loss"]), row


def _number(name: Any, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise LossContractError(
            f"The metric {name!r} must be a number or a 0-dim tensor, got {describe(value)}."
        ) from None
