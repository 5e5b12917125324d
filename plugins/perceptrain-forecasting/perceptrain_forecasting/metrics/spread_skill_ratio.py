"""Whether the spread of forecasts is as large as their errors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_forecasting.forecasts.base import Forecast
from perceptrain_forecasting.forecasts.read import QUANTILES
from perceptrain_forecasting.metrics.base import ForecastMetric


class SpreadSkillRatio(ForecastMetric):
    """Root of the mean variance over the RMSE of the mean; 1 is ideal, less is too narrow.

    The variance of M members counts ``(M + 1) / M`` times, for the error of their mean (Fortin et
    al., 2014).

    Args:
        forecast: The name of a distribution, or "members".
        quantiles: Not used: quantiles have no mean.

    Raises:
        ConfigError: The forecast is "quantiles".
    """

    def __init__(self, forecast: str = "normal", quantiles: Sequence[float] | None = None) -> None:
        super().__init__(forecast, quantiles)
        if forecast == QUANTILES:
            raise ConfigError(
                "spread_skill_ratio needs means and variances, which quantiles do not have: use "
                "pit_calibration_error."
            )

    def sums(self, forecast: Forecast, labels: Tensor) -> Tensor:
        """Return the sums of variances and of squared errors."""
        errors = (labels - forecast.mean()).square()
        return torch.stack([forecast.variance().sum(), errors.sum()])

    def value(self, means: Tensor) -> Tensor:
        """Return the root of their ratio."""
        return (means[0] / means[1]).sqrt()
