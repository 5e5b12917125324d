"""The base class of the metrics: sums over all labels of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from perceptrain.errors import DataError
from perceptrain_forecasting.checks import check_labels
from perceptrain_forecasting.families.by_name import FAMILIES
from perceptrain_forecasting.forecasts.base import Forecast
from perceptrain_forecasting.forecasts.read import check_forecast, forecast_of


class ForecastMetric:
    """A metric of forecasts over a whole data set, in float64; each label counts once.

    Args:
        forecast: What the outputs of the model are: the name of a distribution, as for the loss
            ``crps``; "members"; or "quantiles".
        quantiles: For "quantiles", their levels in increasing order.

    Raises:
        ConfigError: An option has a wrong value.
    """

    higher_is_better: bool | None = None

    def __init__(self, forecast: str = "normal", quantiles: Sequence[float] | None = None) -> None:
        check_forecast(forecast, quantiles)
        self.forecast, self.levels = forecast, quantiles
        self.reset()

    @property
    def scales_with_labels(self) -> bool:
        """Whether outputs are in the units of the labels; the parameters of distributions are not.

        So a run that scales its labels cannot put them back into units.
        """
        return self.forecast not in FAMILIES

    def reset(self) -> None:
        """Forget all labels."""
        self._sums: Tensor | None = None
        self._count = 0

    @torch.no_grad()
    def update(self, preds: Any, target: Any) -> None:
        """Add a batch of outputs and labels, of shape ``(N,)`` or ``(N, D)``.

        Raises:
            ShapeError: The shapes do not fit.
            DataError: A label is NaN, or the outputs cannot be such a forecast.
        """
        positive = self.forecast in FAMILIES and FAMILIES[self.forecast].positive
        labels = check_labels(target, positive)
        forecast = forecast_of(preds, self.forecast, self.levels, labels.shape)
        sums = self.sums(forecast, labels.double())
        self._sums = sums if self._sums is None else self._sums + sums
        self._count += labels.numel()

    def merge_state(self, other: ForecastMetric) -> None:
        """Add the labels that another metric of the same class has seen."""
        if self._sums is None or other._sums is None:
            self._sums = other._sums if self._sums is None else self._sums
        else:
            self._sums = self._sums + other._sums
        self._count += other._count

    def to(self, device: torch.device | str) -> ForecastMetric:
        """Move the sums to a device."""
        self._sums = None if self._sums is None else self._sums.to(device)
        return self

    def compute(self) -> Tensor:
        """Return the metric over all labels.

        Raises:
            DataError: There was none.
        """
        if self._sums is None:
            raise DataError(f"{type(self).__name__} has seen no labels, so it has no value.")
        return self.value(self._sums / self._count)

    def sums(self, forecast: Forecast, labels: Tensor) -> Tensor:
        """Return what to add up over the labels; subclasses implement this."""
        raise NotImplementedError

    def value(self, means: Tensor) -> Tensor:
        """Return the metric for the means over all labels; by default, the mean itself."""
        return means
