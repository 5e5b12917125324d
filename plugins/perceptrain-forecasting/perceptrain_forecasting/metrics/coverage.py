"""How many labels are inside of their intervals."""

from __future__ import annotations

from torch import Tensor

from perceptrain_forecasting.forecasts.base import Forecast
from perceptrain_forecasting.metrics.of_interval import IntervalMetric


class Coverage(IntervalMetric):
    """Share of labels inside the central interval, ends included; ideal is the level.

    No label is between ends that are crossed.

    Args:
        level: The level of the interval; 0.9 is from the quantile 0.05 to the quantile 0.95.
        forecast: The name of a distribution, "members" or "quantiles".
        quantiles: For "quantiles", their levels; both ends must be among them.
    """

    def sums(self, forecast: Forecast, labels: Tensor) -> Tensor:
        """Return the number of labels inside."""
        lower, upper = self.interval(forecast)
        return ((lower <= labels) & (labels <= upper)).double().sum()
