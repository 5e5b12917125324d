"""The mean CRPS over a data set."""

from __future__ import annotations

from torch import Tensor

from perceptrain_forecasting.forecasts.base import Forecast
from perceptrain_forecasting.metrics.base import ForecastMetric


class MeanCRPS(ForecastMetric):
    """Mean continuous ranked probability score (CRPS), in the units of the labels.

    It is exact for distributions and fair for members. For quantiles it is twice the mean pinball
    loss, which approaches the CRPS with many levels that are spread evenly.

    Args:
        forecast: The name of a distribution, "members" or "quantiles".
        quantiles: For "quantiles", their levels.
    """

    higher_is_better = False

    def sums(self, forecast: Forecast, labels: Tensor) -> Tensor:
        """Return the sum of the CRPS."""
        return forecast.crps(labels).sum()
