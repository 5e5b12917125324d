"""The base class of metrics of a central interval."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from perceptrain_forecasting.forecasts.base import Forecast
from perceptrain_forecasting.metrics.base import ForecastMetric
from perceptrain_forecasting.options import check_share


class IntervalMetric(ForecastMetric):
    """A metric of the central interval of a level, between two quantiles."""

    def __init__(
        self,
        level: float = 0.9,
        forecast: str = "normal",
        quantiles: Sequence[float] | None = None,
    ) -> None:
        super().__init__(forecast, quantiles)
        check_share("level", level)
        self.level = level

    def interval(self, forecast: Forecast) -> tuple[Tensor, Tensor]:
        """Return the ends of the interval of each label."""
        ends = forecast.quantiles(((1 - self.level) / 2, (1 + self.level) / 2))
        return ends[..., 0], ends[..., 1]
