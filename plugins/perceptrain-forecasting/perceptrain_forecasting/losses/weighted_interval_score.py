"""The weighted interval score: a median and several intervals.

That of scoringrules 0.10 is wrong: it adds the median where the formula has the distance of the
label from the median.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from perceptrain_forecasting.checks import quantiles_of
from perceptrain_forecasting.losses.base import ForecastLoss
from perceptrain_forecasting.losses.interval_score import interval_scores
from perceptrain_forecasting.options import check_levels

_LEVELS = (0.5, 0.8, 0.95)


class WeightedIntervalScoreLoss(ForecastLoss):
    """Weighted interval score (Bracher et al., 2021, equation 1): it approximates the CRPS.

    For K central intervals of levels ``1 - a`` and the median m, it is
    ``(|y - m| / 2 + sum of a / 2 times the interval score) / (K + 1/2)``, which is twice the mean
    pinball loss of all ``2 K + 1`` quantiles.

    The model returns ``2 K + 1`` quantiles of each label in increasing order, of shape
    ``(N, D, 2 K + 1)`` or ``(N, D (2 K + 1))``, in the units of the labels: for the default those
    of 0.025, 0.1, 0.25, 0.5, 0.75, 0.9 and 0.975.

    Args:
        levels: The levels of the intervals, in increasing order.

    Raises:
        ConfigError: The levels are not increasing numbers between 0 and 1.
    """

    def __init__(self, levels: Sequence[float] = _LEVELS) -> None:
        super().__init__()
        self.levels = check_levels("levels", levels)

    @staticmethod
    def output_size(size: int, levels: Sequence[float] = _LEVELS, **others: Any) -> int:
        """Return how many outputs a model needs for labels of ``size`` columns."""
        return size * (2 * len(levels) + 1)

    def point_prediction(self, outputs: Any, labels: Tensor) -> Tensor:
        """Return the medians, in the shape of the labels."""
        number = len(self.levels)
        return quantiles_of(outputs, labels.shape, 2 * number + 1)[..., number]

    def scores(self, outputs: Any, labels: Tensor) -> Tensor:
        """Return the weighted interval score of each label."""
        number = len(self.levels)
        quantiles = quantiles_of(outputs, labels.shape, 2 * number + 1)
        labels = labels.to(quantiles.dtype)
        total = (labels - quantiles[..., number]).abs() / 2
        for place, level in enumerate(self.levels, 1):
            lower, upper = quantiles[..., number - place], quantiles[..., number + place]
            total = total + (1 - level) / 2 * interval_scores(labels, lower, upper, level)
        return total / (number + 0.5)
