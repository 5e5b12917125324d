"""Metrics of regression for each of several labels, whose scales may be far apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from torch import Tensor

from perceptrain_core.metrics import Metric
from perceptrain_core.metrics.regression import RegressionMetric
from perceptrain_core.runs.unscaled_metric import UnscaledMetric

#: With more labels than this, the figures of each would hide those of all.
_MOST_LABELS = 20


class OneLabel:
    """A metric of one column of outputs and labels.

    Args:
        metric: The metric.
        column: The number of the column.
    """

    def __init__(self, metric: RegressionMetric, column: int) -> None:
        self._metric, self._column = metric, column

    def update(self, preds: Tensor, target: Tensor, sample_weight: Any = None) -> None:
        """Add a batch."""
        self._metric.update(preds[:, self._column], target[:, self._column], sample_weight)

    def compute(self) -> Any:
        """Return the value over all batches since the last reset."""
        return self._metric.compute()

    def reset(self) -> None:
        """Forget all batches."""
        self._metric.reset()


def with_each_label(metrics: Mapping[str, Metric], labels: Sequence[str]) -> dict[str, Metric]:
    """Add ``NAME[LABEL]`` for each metric of regression and each of several labels.

    Args:
        metrics: The metrics by name, in the units of the labels.
        labels: The names of the labels; with one, or with more than 20, nothing is added.
    """
    if not 1 < len(labels) <= _MOST_LABELS:
        return dict(metrics)
    found = dict(metrics)
    for name, metric in metrics.items():
        for column, label in enumerate(labels):
            if (one := _one_label(metric, column)) is not None:
                found[f"{name}[{label}]"] = one
    return found


def _one_label(metric: Metric, column: int) -> Metric | None:
    if isinstance(metric, UnscaledMetric):
        inner = _one_label(metric.metric, column)
        return None if inner is None else UnscaledMetric(inner, metric.unscale)
    return OneLabel(deepcopy(metric), column) if isinstance(metric, RegressionMetric) else None
