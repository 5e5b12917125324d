"""How wide intervals are."""

from __future__ import annotations

from torch import Tensor

from perceptrain_forecasting.forecasts.base import Forecast
from perceptrain_forecasting.metrics.of_interval import IntervalMetric


class IntervalWidth(IntervalMetric):
    """Mean width of the central interval; of forecasts with the right coverage, narrow is better.

    The width of an interval whose ends are crossed is negative.

    Args:
        level: The level of the interval; 0.9 is from the quantile 0.05 to the quantile 0.95.
        forecast: The name of a distribution, "members" or "quantiles".
        quantiles: For "quantiles", their levels; both ends must be among them.
    """

    higher_is_better = False

    def sums(self, forecast: Forecast, labels: Tensor) -> Tensor:
        """Return the sum of the widths."""
        lower, upper = self.interval(forecast)
        return (upper - lower).sum()
