"""The tensors among metrics and their counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from perceptrain_core.types import Counted, Metrics


def tensors_of(metrics: Metrics) -> list[Tensor]:
    """Return the tensors among the values of metrics, and among what they are means over."""
    return [value for part in _parts(metrics) for value in _tensors(part)]


def with_tensors(metrics: Metrics, tensors: Sequence[Tensor]) -> Metrics:
    """Return metrics with other tensors.

    Args:
        metrics: The metrics.
        tensors: A tensor for each of `tensors_of`, in the same order.
    """
    if not tensors:
        if isinstance(metrics, Counted):
            return Counted(metrics, metrics.count, metrics.terms)
        return dict(metrics)
    rest = iter(tensors)
    values, *counts = (_filled(part, rest) for part in _parts(metrics))
    return Counted(values, *counts) if isinstance(metrics, Counted) else values


def _parts(metrics: Metrics) -> list[Any]:
    if isinstance(metrics, Counted):
        return [dict(metrics), metrics.count, metrics.terms]
    return [metrics]


def _tensors(part: Any) -> list[Tensor]:
    values = part.values() if isinstance(part, Mapping) else [part]
    return [value for value in values if isinstance(value, Tensor)]


def _filled(part: Any, tensors: Iterator[Tensor]) -> Any:
    if isinstance(part, Mapping):
        return {n: next(tensors) if isinstance(v, Tensor) else v for n, v in part.items()}
    return next(tensors) if isinstance(part, Tensor) else part
