"""A metric in the units of the labels, for a model that learns scaled ones."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn

from perceptrain_core.metrics import Metric


class UnscaledMetric(nn.Module):
    """Turns outputs and labels back into the units of the labels before a metric sees them.

    Args:
        metric: The metric.
        unscale: Turns outputs and labels into their units.
    """

    def __init__(self, metric: Metric, unscale: nn.Module) -> None:
        super().__init__()
        self.metric, self.unscale = metric, unscale
        self._weighted = "sample_weight" in inspect.signature(metric.update).parameters

    @property
    def higher_is_better(self) -> bool | None:
        """Whether a higher value is better, if the metric says so."""
        return getattr(self.metric, "higher_is_better", None)

    @property
    def takes_predictions(self) -> bool:
        """Whether the metric gets one prediction for each label, instead of the outputs."""
        return getattr(self.metric, "takes_predictions", False)

    def update(self, preds: Any, target: Any, sample_weight: Any = None) -> None:
        """Add a batch; a metric that accepts no sample weights does not see them."""
        if isinstance(preds, Tensor) and isinstance(target, Tensor):
            preds, target = (self.unscale(values.double()) for values in (preds, target))
        weighted = self._weighted and sample_weight is not None
        options: dict[str, Any] = {"sample_weight": sample_weight} if weighted else {}
        self.metric.update(preds, target, **options)

    def compute(self) -> Any:
        """Return the value over all batches since the last reset."""
        return self.metric.compute()

    def reset(self) -> None:
        """Forget all batches."""
        self.metric.reset()
