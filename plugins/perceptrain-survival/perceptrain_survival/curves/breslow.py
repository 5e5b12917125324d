"""The baseline of Cox's model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from perceptrain.errors import DataError, ShapeError
from perceptrain_survival.curves.step_function import StepFunction
from perceptrain_survival.labels import SurvivalLabels


@dataclass(frozen=True)
class BreslowBaseline:
    """The baseline of Cox's model: the integral of the hazard of a row whose output is 0.

    Breslow, in the discussion of Cox (1972): it jumps at each time with events by their number,
    divided by the sum of the hazard ratios of the rows at risk.

    Attributes:
        log_hazard: The logarithm of the integral up to a time, a function of the time, float64;
            minus infinity before the first event.
    """

    log_hazard: StepFunction

    @classmethod
    def fit(cls, outputs: Tensor, labels: Tensor | SurvivalLabels) -> BreslowBaseline:
        """Estimate the baseline from the rows of the training.

        Args:
            outputs: What the model returns for them, the logarithm of the hazard ratio, shape
                ``(N,)`` or ``(N, 1)``.
            labels: Of shape ``(N, 2)``, the columns event and time.

        Raises:
            DataError: There is no event, the labels are invalid, or they have several strata.
            ShapeError: The shapes do not match.
        """
        known = labels if isinstance(labels, SurvivalLabels) else SurvivalLabels.of_columns(labels)
        log_risk = outputs.detach().double().reshape(len(outputs), -1)
        if log_risk.shape != (len(known), 1):
            raise ShapeError(
                f"The outputs have shape {tuple(outputs.shape)} for {len(known)} rows of labels; "
                "expected one for each row."
            )
        if not bool(known.event.any()):
            raise DataError("There is no event, so Cox's model has no baseline: add rows.")
        if known.strata is not None and len(torch.unique(known.strata)) > 1:
            raise DataError(
                "The labels have several strata, and each has a baseline of its own: fit one to "
                "the rows of each stratum, BreslowBaseline.fit(outputs[rows], labels[rows, :2])."
            )
        times, number = torch.unique(known.time, return_inverse=True)
        leaving = number.bincount(minlength=len(times))
        events = log_risk.new_zeros(len(times)).index_add(0, number, known.event.double())
        order = torch.argsort(known.time, descending=True, stable=True)
        sums = log_risk[order, 0].logcumsumexp(0)
        at_risk = sums[leaving.flip(0).cumsum(0) - 1].flip(0)
        return cls(StepFunction(times, (events.log() - at_risk).logcumsumexp(0), -torch.inf))

    def __call__(self, times: Tensor) -> Tensor:
        """Return the logarithm of the integral of the hazard up to times of any shape, float64."""
        return self.log_hazard(times)
