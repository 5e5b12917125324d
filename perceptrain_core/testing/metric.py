"""Checks of a metric."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from math import isclose, isnan
from typing import Any, NamedTuple

import cloudpickle
import torch
from torch import Tensor

from perceptrain_core.metrics import Metric
from perceptrain_core.plurals import counted
from perceptrain_core.testing.checks import require_all
from perceptrain_core.testing.trial_case import leaves

_Numbers = dict[str, float]


class _Case(NamedTuple):
    metric: Any
    preds: Tensor
    target: Tensor

    def value(self, *shares: Tensor, metric: Any = None) -> _Numbers:
        """Return the value over the rows of each share in turn, of a fresh copy by default."""
        metric = copy.deepcopy(self.metric) if metric is None else metric
        for rows in shares:
            metric.update(self.preds[rows], self.target[rows])
        return _numbers(metric.compute())


def check_metric(metric: Any, preds: Tensor | None = None, target: Tensor | None = None) -> None:
    """Check that a metric keeps the contract.

    It must have the methods ``update``, ``compute`` and ``reset``. Its value must be numbers, the
    same for any order of the rows and any split into batches, one row included. ``compute`` must
    not change it, ``update`` must not change its arguments, and after ``reset`` it must start over.
    It must work as a copy and through pickle, and with ``merge_state``, if it has this, two halves
    must become the whole. The checks work on copies.

    Args:
        metric: The metric, before its first update.
        preds: Outputs of a model, rows first. Default: 24 random logits of three classes.
        target: The labels of these rows. Default: classes.

    Raises:
        ConformanceError: A check failed; the message lists every fault.
    """
    generator = torch.Generator().manual_seed(0)
    if preds is None or target is None:
        preds = torch.randn(24, 3, generator=generator)
        target = torch.arange(24) % 3
    label = f"The metric {type(metric).__name__!r}"
    require_all(_Case(metric, preds, target), label, ("is a metric", _kind_faults), _CHECKS)


def _kind_faults(case: _Case) -> Iterator[str]:
    if isinstance(case.metric, type) or not isinstance(case.metric, Metric):
        yield (
            f"it is {type(case.metric).__name__}; an object with update(preds, target), compute() "
            "and reset() was expected"
        )


def _numbers(value: Any) -> _Numbers:
    """Return every number of a value, by its place."""
    found: _Numbers = {}
    for place, leaf in leaves(value, "the value"):
        items = leaf.flatten().tolist() if isinstance(leaf, Tensor) else [leaf]
        found |= {f"{place} [{number}]": float(item) for number, item in enumerate(items)}
    return found


def _differ(first: _Numbers, second: _Numbers) -> bool:
    def same(a: float, b: float) -> bool:
        return isclose(a, b, rel_tol=1e-5, abs_tol=1e-7) or (isnan(a) and isnan(b))

    return first.keys() != second.keys() or not all(same(first[n], second[n]) for n in first)


def _all(case: _Case) -> Tensor:
    return torch.arange(len(case.preds))


def _value_faults(case: _Case) -> Iterator[str]:
    if not case.value(_all(case)):
        yield "compute() returned nothing; a number, a tensor or a mapping of numbers was expected"


def _split_faults(case: _Case) -> Iterator[str]:
    rows = _all(case)
    whole = case.value(rows)
    for size in (1, 5, len(rows) // 2):
        if _differ(whole, case.value(*torch.split(rows, size))):
            yield (
                f"batches of {counted(size, 'row')} change its value: collect in update what "
                "compute needs, and do not average over batches"
            )


def _order_faults(case: _Case) -> Iterator[str]:
    rows = _all(case)
    if _differ(case.value(*torch.split(rows, 5)), case.value(*torch.split(rows.flip(0), 5))):
        yield "its value depends on the order of the rows"


def _change_faults(case: _Case) -> Iterator[str]:
    preds, target = case.preds.clone(), case.target.clone()
    metric = copy.deepcopy(case.metric)
    metric.update(preds, target)
    if not torch.equal(preds, case.preds) or not torch.equal(target, case.target):
        yield "update() changes its arguments"
    first = _numbers(metric.compute())
    if _differ(first, _numbers(metric.compute())):
        yield "a second compute() returns another value"


def _reset_faults(case: _Case) -> Iterator[str]:
    rows = _all(case)
    metric = copy.deepcopy(case.metric)
    case.value(rows[: len(rows) // 2], metric=metric)
    metric.reset()
    if _differ(case.value(rows), case.value(rows, metric=metric)):
        yield "after reset() its value differs from that of a new one"


def _copy_faults(case: _Case) -> Iterator[str]:
    rows = _all(case)
    half = len(rows) // 2
    metric = copy.deepcopy(case.metric)
    metric.update(case.preds[:half], case.target[:half])
    copied = pickle.loads(cloudpickle.dumps(metric))
    if _differ(case.value(rows), case.value(rows[half:], metric=copied)):
        yield "a copy by pickle, as processes exchange them, loses what it has collected"


def _merge_faults(case: _Case) -> Iterator[str]:
    if not hasattr(case.metric, "merge_state") or isinstance(case.metric, torch.nn.Module):
        return  # the trainer does not use that of torchmetrics
    rows = _all(case)
    for half in (len(rows) // 2, 0):
        first, second = copy.deepcopy(case.metric), copy.deepcopy(case.metric)
        for metric, share in ((first, rows[:half]), (second, rows[half:])):
            if len(share):
                metric.update(case.preds[share], case.target[share])
        first.merge_state(second)
        if _differ(case.value(rows), _numbers(first.compute())):
            rest = counted(len(rows) - half, "row")
            yield f"merge_state() of {half} and {rest} is not the value of all"


_CHECKS = {
    "returns numbers": _value_faults,
    "is the same for any batches": _split_faults,
    "is the same for any order": _order_faults,
    "changes nothing else": _change_faults,
    "starts over after reset": _reset_faults,
    "survives pickle": _copy_faults,
    "merges": _merge_faults,
}
