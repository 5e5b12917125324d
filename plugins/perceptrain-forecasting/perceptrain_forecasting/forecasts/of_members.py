"""Forecasts by the members of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import scoringrules
import torch
from torch import Tensor

from perceptrain_forecasting.checks import members_of
from perceptrain_forecasting.forecasts.base import Forecast


class MembersForecast(Forecast):
    """An ensemble for each label; each column is a forecast by itself.

    If the label is as one more member, its rank is uniform, so the member of rank r of M is the
    quantile of the level ``r / (M + 1)``, and quantiles between are interpolated.

    Args:
        outputs: What a model returned, see `members_of`.
        shape: The shape of the labels.
    """

    def __init__(self, outputs: Any, shape: torch.Size) -> None:
        members = members_of(outputs, shape).detach().double()
        self.members = members.mT.reshape(*shape, -1).sort(-1).values

    def crps(self, labels: Tensor) -> Tensor:
        """Return the fair CRPS of each label."""
        found: Tensor = scoringrules.crps_ensemble(
            labels, self.members, estimator="fair", backend="torch"
        )
        return found

    def pit(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the levels between which each label is, by its rank."""
        values, number = labels.unsqueeze(-1), self.members.shape[-1]
        below = (self.members < values).sum(-1)
        upto = (self.members <= values).sum(-1)
        return below.double() / (number + 1), (upto.double() + 1) / (number + 1)

    def quantiles(self, levels: Sequence[float]) -> Tensor:
        """Return the quantiles; beyond the first and last member these themselves."""
        number = self.members.shape[-1]
        places = self.members.new_tensor(list(levels)) * (number + 1) - 1
        places = places.clamp(0, number - 1)
        lower = places.floor().long()
        upper = (lower + 1).clamp(max=number - 1)
        return torch.lerp(self.members[..., lower], self.members[..., upper], places - lower)

    def mean(self) -> Tensor:
        """Return the means of the members."""
        return self.members.mean(-1)

    def variance(self) -> Tensor:
        """Return the variances, times ``(M + 1) / M`` for the error of the mean of M members."""
        number = self.members.shape[-1]
        return self.members.var(-1) * (number + 1) / number
