"""The Brier score, averaged over time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from perceptrain_survival.labels import SurvivalLabels
from perceptrain_survival.metrics.base import SurvivalMetric
from perceptrain_survival.metrics.brier_score import brier_scores
from perceptrain_survival.metrics.times import check_times, require_observed, round_times

_NUMBER = 100


class IntegratedBrierScore(SurvivalMetric):
    """Brier score, averaged over time by the trapezoidal rule (Graf et al. 1999).

    Args:
        times: At least two times; by default 100 equal steps from the first event to the time that
            nine tenths of the events have.
        loss: The loss of the model: "cox", "weibull" or "hazard".
        grid: The option of "hazard".

    Raises:
        ConfigError: An option is invalid.
    """

    higher_is_better = False

    def __init__(
        self,
        times: Sequence[float] | None = None,
        loss: str = "cox",
        grid: Sequence[float] | None = None,
    ) -> None:
        self.times = check_times("times", times, fewest=2)
        super().__init__(loss, grid)

    def value(self, outputs: Tensor, labels: SurvivalLabels) -> Tensor:
        """Return the mean over time.

        Raises:
            DataError: Nothing is known at one of the times, or at any.
        """
        chosen = _default(labels) if self.times is None else outputs.new_tensor(self.times)
        times = round_times(chosen, labels)
        require_observed(times, labels)
        scores = brier_scores(self.loss, outputs, labels, times)
        if len(times) == 1:
            return scores[0]
        return torch.trapezoid(scores, times) / (times[-1] - times[0])


def _default(labels: SurvivalLabels) -> Tensor:
    times = labels.time[labels.event].double()
    first, last = times.min().item(), times.quantile(0.9, interpolation="lower").item()
    steps = torch.linspace(first, last, _NUMBER, dtype=times.dtype, device=times.device)
    steps = round_times(steps, labels)
    return steps[steps < labels.time.max()]
