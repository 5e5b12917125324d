"""The Brier score at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from perceptrain_survival.curves.breslow import BreslowBaseline
from perceptrain_survival.labels import SurvivalLabels
from perceptrain_survival.losses.base import SurvivalLoss
from perceptrain_survival.losses.cox import CoxLoss
from perceptrain_survival.metrics.base import SurvivalMetric
from perceptrain_survival.metrics.times import (
    censoring_weights,
    censoring_weights_at,
    check_times,
    require_observed,
    round_times,
)


class BrierScore(SurvivalMetric):
    """Mean squared error of the predicted probability of no event up to a time.

    Graf et al. (1999): the truth is 0 for rows with an event up to the time, and 1 for rows that
    are observed after it. Rows that are censored before are left out, and the others are weighted
    by one over the probability of not being censored. A prediction of 0.5 for all rows has 0.25.

    Args:
        at: The time.
        loss: The loss of the model: "cox", "weibull" or "hazard".
        grid: The option of "hazard".

    Raises:
        ConfigError: An option is invalid.
    """

    higher_is_better = False

    def __init__(self, at: float, loss: str = "cox", grid: Sequence[float] | None = None) -> None:
        check_times("at", [at])
        self.at = float(at)
        super().__init__(loss, grid)

    def value(self, outputs: Tensor, labels: SurvivalLabels) -> Tensor:
        """Return the score.

        Raises:
            DataError: Nothing is known at the time.
        """
        times = round_times(outputs.new_tensor([self.at]), labels)
        require_observed(times, labels)
        return brier_scores(self.loss, outputs, labels, times)[0]


def brier_scores(
    loss: SurvivalLoss, outputs: Tensor, labels: SurvivalLabels, times: Tensor
) -> Tensor:
    """Return the Brier score at each time, shape ``(T,)``.

    Args:
        loss: Turns outputs into probabilities.
        outputs: Shape ``(N, width)``, float64.
        labels: Events, at least one, and times.
        times: Shape ``(T,)``, before the last time of the labels, and rounded as these.
    """
    baseline = BreslowBaseline.fit(outputs, labels) if isinstance(loss, CoxLoss) else None
    survival = loss.survival(outputs, times, baseline)
    time, event = labels.time.unsqueeze(1), labels.event.unsqueeze(1)
    happened = survival.square() * censoring_weights(labels).unsqueeze(1)
    later = (1 - survival).square() * censoring_weights_at(times, labels)
    errors = torch.where((time <= times) & event, happened, torch.where(time > times, later, 0.0))
    return errors.mean(0)
