"""The interval score of Winkler."""

from __future__ import annotations

from typing import Any

import scoringrules
from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_forecasting.checks import quantiles_of
from perceptrain_forecasting.losses.base import ForecastLoss
from perceptrain_forecasting.options import check_share


class IntervalScoreLoss(ForecastLoss):
    """Interval score (Winkler, 1972): the width, and a penalty for labels outside.

    For a central interval from l to u of level ``1 - a`` it is ``u - l``, plus ``2 / a`` times the
    distance of the label from the interval (Gneiting and Raftery, 2007, equation 43). It is least
    for the quantiles ``a / 2`` and ``1 - a / 2``.

    The model returns the lower and the upper end of each label, of shape ``(N, D, 2)`` or
    ``(N, 2 D)``, in the units of the labels; no softplus is needed, as crossed ends cost more.

    Args:
        level: The share of labels that should lie inside.

    Raises:
        ConfigError: The level is not between 0 and 1.
    """

    def __init__(self, level: float = 0.9) -> None:
        super().__init__()
        check_share("level", level)
        self.level = float(level)

    @staticmethod
    def output_size(size: int, **others: Any) -> int:
        """Return how many outputs a model needs for labels of ``size`` columns."""
        return 2 * size

    def point_prediction(self, outputs: Any, labels: Tensor) -> Tensor:
        """Refuse: an interval has no prediction inside.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            "The loss interval_score has none, only the ends of an interval: remove the metric, or "
            "use one of quantiles, such as coverage, interval_width or mean_crps, or the loss "
            "weighted_interval_score, which has a median."
        )

    def scores(self, outputs: Any, labels: Tensor) -> Tensor:
        """Return the interval score of each label."""
        lower, upper = quantiles_of(outputs, labels.shape, 2).unbind(-1)
        return interval_scores(labels.to(lower.dtype), lower, upper, self.level)


def interval_scores(labels: Tensor, lower: Tensor, upper: Tensor, level: float) -> Tensor:
    """Return the interval score of each label, for one interval each."""
    found: Tensor = scoringrules.interval_score(labels, lower, upper, 1 - level, backend="torch")
    return found.reshape(labels.shape)
