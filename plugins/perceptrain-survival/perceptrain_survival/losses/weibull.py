"""The likelihood of Weibull distributed times as a loss."""

from __future__ import annotations

from math import log
from typing import Any

import torch
from torch import Tensor

from perceptrain import values_are_checked
from perceptrain.errors import DataError
from perceptrain_survival.curves.breslow import BreslowBaseline
from perceptrain_survival.labels import SurvivalLabels
from perceptrain_survival.losses.base import SurvivalLoss


class WeibullLoss(SurvivalLoss):
    """Negative log-likelihood of Weibull distributed times, some of them censored.

    The probability of no event up to ``t`` is ``exp(-(t / scale)^shape)``. The model returns the
    logarithms of scale and shape, of shape ``(N, 2)``; or those of the scale alone, ``(N, 1)`` or
    ``(N,)``, for the shape 1, the exponential distribution. The term of a row is
    ``(t / scale)^shape``, minus the logarithm of the hazard at ``t`` if the event happened.

    Batches without an event have a loss like any other. Times near 1 train best, for example in
    years rather than days.

    Args:
        reduction: "mean" over the rows, or "sum".

    Raises:
        ConfigError: ``reduction`` is unknown.
    """

    # A prediction is the scale, in the units of the times.
    outputs_per_label = 2
    output_activation = "exp"
    name = "weibull"
    meaning = "the logarithms of scale and shape, or of the scale alone"
    widths = (1, 2)

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction)

    @staticmethod
    def output_size(size: int, **options: Any) -> int:
        """Return the number of outputs of the model, 2."""
        return 2

    def terms(self, outputs: Tensor, labels: SurvivalLabels) -> tuple[Tensor, int | Tensor]:
        """Return a term for each row, and the number of rows.

        Raises:
            DataError: An event has the time 0, where the density is 0 or infinite.
        """
        event, time = labels.event, labels.time.to(outputs)
        if values_are_checked(time) and bool((event & (time == 0)).any()):
            raise DataError(
                "An event has the time 0, where a Weibull distribution has no finite likelihood; "
                "expected positive times. Add half a unit of time to it, or leave the row out."
            )
        log_scale, log_shape = _parameters(outputs)
        log_ratio = _log(time) - log_scale
        log_cumulative = log_shape.exp() * log_ratio
        log_hazard = log_shape - log_scale + torch.expm1(log_shape) * log_ratio
        cumulative = torch.where(time > 0, log_cumulative.exp(), 0.0)
        return cumulative - torch.where(event, log_hazard, 0.0), len(time)

    def score(self, outputs: Tensor) -> Tensor:
        """Return minus the logarithm of the median time."""
        log_scale, log_shape = _parameters(outputs)
        return -(log_scale + log(log(2)) * torch.exp(-log_shape))

    def survival(
        self, outputs: Tensor, times: Tensor, baseline: BreslowBaseline | None = None
    ) -> Tensor:
        """Return the probability that the event comes after each time, shape ``(N, T)``.

        Args:
            outputs: Shape ``(N, 1)`` or ``(N, 2)``.
            times: Shape ``(T,)``.
            baseline: Not used.
        """
        times = times.to(outputs)
        log_scale, log_shape = (each.unsqueeze(1) for each in _parameters(outputs))
        cumulative = torch.exp(log_shape.exp() * (_log(times) - log_scale))
        return torch.exp(-torch.where(times > 0, cumulative, 0.0))


def _parameters(outputs: Tensor) -> tuple[Tensor, Tensor]:
    log_scale = outputs[:, 0]
    return log_scale, outputs[:, 1] if outputs.shape[1] == 2 else torch.zeros_like(log_scale)


def _log(time: Tensor) -> Tensor:
    """Return the logarithm, which is finite at 0."""
    return torch.log(time.clamp(min=torch.finfo(time.dtype).tiny))
