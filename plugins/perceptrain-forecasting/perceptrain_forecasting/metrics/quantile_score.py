"""The mean pinball loss over a data set."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from perceptrain_forecasting.forecasts.base import Forecast
from perceptrain_forecasting.forecasts.pinball import pinball
from perceptrain_forecasting.metrics.base import ForecastMetric
from perceptrain_forecasting.options import check_levels

_LEVELS = (0.1, 0.5, 0.9)


class QuantileScore(ForecastMetric):
    """Mean pinball loss of quantiles, in the units of the labels.

    Args:
        levels: The levels to score; the metric is the mean over them.
        forecast: The name of a distribution, "members" or "quantiles".
        quantiles: For "quantiles", their levels; those to score must be among them.
    """

    higher_is_better = False

    def __init__(
        self,
        levels: Sequence[float] = _LEVELS,
        forecast: str = "normal",
        quantiles: Sequence[float] | None = None,
    ) -> None:
        super().__init__(forecast, quantiles)
        self.scored = check_levels("levels", levels)

    def sums(self, forecast: Forecast, labels: Tensor) -> Tensor:
        """Return the sum over labels of the mean over levels."""
        found = pinball(labels, forecast.quantiles(self.scored), self.scored)
        return found.mean(-1).sum()
