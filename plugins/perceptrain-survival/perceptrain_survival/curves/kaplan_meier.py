"""The estimator of Kaplan and Meier."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_survival.curves.step_function import StepFunction
from perceptrain_survival.labels import SurvivalLabels


def kaplan_meier(labels: Tensor | SurvivalLabels, censoring: bool = False) -> StepFunction:
    """Return the share of rows without an event up to each time, for censored rows.

    Kaplan and Meier, "Nonparametric Estimation from Incomplete Observations" (1958).

    Args:
        labels: Of shape ``(N, 2)``, the columns event and time.
        censoring: Estimate the distribution of the censoring times instead, for which events are
            the censored rows. Of events and censored rows at one time, the events come first.

    Returns:
        A function that jumps at the times of the rows, float64.

    Raises:
        DataError: The labels are invalid.
        ShapeError: They have another shape.
    """
    known = labels if isinstance(labels, SurvivalLabels) else SurvivalLabels.of_columns(labels)
    times, number = torch.unique(known.time, return_inverse=True)
    leaving = number.bincount(minlength=len(times)).double()
    events = torch.zeros_like(leaving).index_add(0, number, known.event.double())
    at_risk = leaving.flip(0).cumsum(0).flip(0)
    if censoring:
        at_risk, events = (at_risk - events).clamp(min=1), leaving - events
    return StepFunction(times, torch.cumprod(1 - events / at_risk, 0), 1.0)
