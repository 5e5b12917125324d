"""A metric of regression for a model that predicts more, or else, than the labels."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from perceptrain_core.registry import get_metric


class PointMetric:
    """Applies a metric to one prediction for each label.

    Args:
        metric: The name of the metric.
        column: The first column of the outputs to compare, if there are more than labels: the
            column of the median, or 0 for means before variances.
        exp: Whether the outputs are logarithms of the predictions.
    """

    def __init__(self, metric: str = "rmse", column: int = 0, exp: bool = False) -> None:
        self.metric, self.column, self.exp = get_metric(metric), column, exp

    @property
    def higher_is_better(self) -> bool | None:
        """Whether a higher value is better, if the metric says so."""
        return getattr(self.metric, "higher_is_better", None)

    def update(self, preds: Any, target: Any) -> None:
        """Add a batch."""
        if isinstance(preds, tuple | list):
            preds = preds[0]
        if isinstance(preds, Tensor) and isinstance(target, Tensor) and preds.ndim == 2:
            width = target.shape[1] if target.ndim == 2 else 1
            if preds.shape[1] > width:
                preds = preds[:, self.column : self.column + width]
        self.metric.update(preds.exp() if self.exp else preds, target)

    def compute(self) -> Any:
        """Return the value over all batches since the last reset."""
        return self.metric.compute()

    def reset(self) -> None:
        """Forget all batches."""
        self.metric.reset()
