"""The area under the ROC curve at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from perceptrain_survival.curves.kaplan_meier import kaplan_meier
from perceptrain_survival.labels import SurvivalLabels
from perceptrain_survival.losses.cox import CoxLoss
from perceptrain_survival.metrics.base import SurvivalMetric
from perceptrain_survival.metrics.times import (
    censoring_weights,
    check_times,
    require_observed,
    round_times,
)


class TimeAUC(SurvivalMetric):
    """Area under the ROC curve of the risk of an event up to a time, averaged over times.

    At a time ``t``, the rows with an event up to ``t`` should have a higher risk than those that
    are observed after it (cumulative cases, dynamic controls). Rows that are censored before ``t``
    are not compared; instead, each event is weighted by one over the probability of not being
    censored up to its time (Uno et al. 2007; Hung and Chiang 2010). Equal risks count as half.

    The risk is the hazard ratio for "cox", and the probability of an event up to ``t`` for
    "weibull" and "hazard". The mean over several times is weighted by the share of rows whose event
    comes between them, by Kaplan and Meier's estimate (Lambert and Chevret 2016).

    Args:
        times: The times; by default the deciles of the times of the events.
        loss: The loss of the model: "cox", "weibull" or "hazard".
        grid: The option of "hazard".

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(
        self,
        times: Sequence[float] | None = None,
        loss: str = "cox",
        grid: Sequence[float] | None = None,
    ) -> None:
        self.times = check_times("times", times)
        super().__init__(loss, grid)

    def value(self, outputs: Tensor, labels: SurvivalLabels) -> Tensor:
        """Return the mean over the times.

        Raises:
            DataError: Nothing is known at one of the times, or at any.
        """
        chosen = _deciles(labels) if self.times is None else outputs.new_tensor(self.times)
        times = round_times(chosen, labels)
        require_observed(times, labels)
        weights = censoring_weights(labels) * labels.event
        areas = torch.stack(
            [
                _area(self._risk(outputs, time), labels.time, weights, time)
                for time in torch.split(times, 1)
            ]
        )
        if len(times) == 1:
            return areas[0]
        survival = kaplan_meier(labels)(times)
        falls = -survival.diff(prepend=survival.new_ones(1))
        return (areas * falls).sum() / falls.sum()

    def _risk(self, outputs: Tensor, time: Tensor) -> Tensor:
        if isinstance(self.loss, CoxLoss):
            return self.loss.score(outputs)
        return -self.loss.survival(outputs, time)[:, 0]


def _area(risk: Tensor, time: Tensor, weights: Tensor, at: Tensor) -> Tensor:
    cases, weights = risk[time <= at], weights[time <= at]
    controls = risk[time > at].sort().values
    below = torch.searchsorted(controls, cases)
    equal = torch.searchsorted(controls, cases, right=True) - below
    return (weights * (below + equal / 2)).sum() / (weights.sum() * len(controls))


def _deciles(labels: SurvivalLabels) -> Tensor:
    times = labels.time[labels.event].double()
    found = times.quantile(times.new_tensor([k / 10 for k in range(1, 10)]), interpolation="lower")
    return found[found < labels.time.max()]
