"""How far values of the probability integral transform are from uniform."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from perceptrain_forecasting.forecasts.base import Forecast
from perceptrain_forecasting.metrics.base import ForecastMetric
from perceptrain_forecasting.options import check_whole


class PITCalibrationError(ForecastMetric):
    """Mean distance of the distribution of PIT values from the uniform one; 0 is calibrated.

    The probability integral transform (PIT) of a label is the probability that the forecast gives
    to at most this label. For levels u, the metric is the mean of ``|share of values <= u - u|``:
    the share of labels below the quantile u, compared with u. It is at most 1/4 for forecasts that
    are too narrow or too wide, and at most about 1/2 for those that are too high or too low.

    Args:
        bins: The levels are ``1 / bins``, ``2 / bins`` and so on; not for "quantiles", whose own
            levels are compared.
        forecast: The name of a distribution, "members" or "quantiles".
        quantiles: For "quantiles", their levels.
    """

    higher_is_better = False

    def __init__(
        self, bins: int = 20, forecast: str = "normal", quantiles: Sequence[float] | None = None
    ) -> None:
        super().__init__(forecast, quantiles)
        check_whole("bins", bins, 2)
        self.compared = [k / bins for k in range(1, bins)] if quantiles is None else list(quantiles)

    def sums(self, forecast: Forecast, labels: Tensor) -> Tensor:
        """Return for each level the labels below its quantile."""
        shares = forecast.share_below(labels, self.compared)
        return shares.reshape(-1, len(self.compared)).sum(0)

    def value(self, means: Tensor) -> Tensor:
        """Return the mean distance."""
        return torch.mean((means - means.new_tensor(self.compared)).abs())
