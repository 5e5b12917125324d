"""Forecasts by a few quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_forecasting.checks import quantiles_of
from perceptrain_forecasting.forecasts.base import Forecast
from perceptrain_forecasting.forecasts.pinball import pinball


class QuantilesForecast(Forecast):
    """A few quantiles for each label, as the model returned them.

    Crossed quantiles are not put in order: they are scored as the loss and the predictions have
    them.

    Args:
        outputs: What a model returned, see `quantiles_of`.
        shape: The shape of the labels.
        levels: The levels of the quantiles, in increasing order.
    """

    def __init__(self, outputs: Any, shape: torch.Size, levels: Sequence[float]) -> None:
        self.values = quantiles_of(outputs, shape, len(levels)).detach().double()
        self.levels = tuple(levels)

    def crps(self, labels: Tensor) -> Tensor:
        """Return twice the mean pinball loss: the CRPS as a sum over the levels."""
        return 2 * pinball(labels, self.values, self.levels).mean(-1)

    def pit(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the levels between which each label is, by the number of quantiles below it."""
        values = labels.unsqueeze(-1)
        ends = self.values.new_tensor([0.0, *self.levels, 1.0])
        below, upto = (self.values < values).sum(-1), (self.values <= values).sum(-1)
        return ends[below], ends[upto + 1]

    def share_below(self, labels: Tensor, levels: Sequence[float]) -> Tensor:
        """Return for some of the levels whether each label is below their quantile."""
        quantiles, values = self.quantiles(levels), labels.unsqueeze(-1)
        below = (values < quantiles).double()
        return torch.where(values == quantiles, super().share_below(labels, levels), below)

    def quantiles(self, levels: Sequence[float]) -> Tensor:
        """Return the quantiles of some of the levels."""
        return torch.stack([self.values[..., self._place(level)] for level in levels], dim=-1)

    def mean(self) -> Tensor:
        """Refuse: a few quantiles have no mean."""
        raise ConfigError(_NO_MOMENTS)

    def variance(self) -> Tensor:
        """Refuse: a few quantiles have no variance."""
        raise ConfigError(_NO_MOMENTS)

    def _place(self, level: float) -> int:
        for place, known in enumerate(self.levels):
            if abs(known - level) < 1e-9:
                return place
        known_levels = ", ".join(f"{known:g}" for known in self.levels)
        raise ConfigError(
            f"The forecast has no quantile of the level {level:g}; expected one of {known_levels}. "
            "Choose another level, or let the model return this quantile."
        )


_NO_MOMENTS = (
    "Quantiles have no mean and no variance: use a metric of quantiles, such as coverage, or a "
    "forecast by members or by a distribution."
)
