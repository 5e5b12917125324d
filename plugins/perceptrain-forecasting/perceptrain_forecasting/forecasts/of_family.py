"""Forecasts by the parameters of a distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perceptrain_forecasting.families.base import Array, Family, Frozen
from perceptrain_forecasting.families.parameters import parameters_of
from perceptrain_forecasting.forecasts.base import Forecast


class FamilyForecast(Forecast):
    """A distribution of a family for each label.

    Args:
        family: The family.
        outputs: What a model returned, see `parameters_of`.
        shape: The shape of the labels.
    """

    def __init__(self, family: Family, outputs: Any, shape: torch.Size) -> None:
        self.family = family
        self.dimensions = len(shape)
        parameters = parameters_of(family, outputs, shape)
        self.parameters = tuple(values.detach().double() for values in parameters)

    def crps(self, labels: Tensor) -> Tensor:
        """Return the CRPS of each label, in closed form."""
        return self.family.crps(labels, *self.parameters)

    def pit(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distribution function at each label, twice."""
        found = self._tensor(self._frozen().cdf(labels.cpu().numpy()))
        return found, found

    def quantiles(self, levels: Sequence[float]) -> Tensor:
        """Return the quantiles of some levels, by SciPy."""
        first = np.asarray(levels).reshape(-1, *[1] * self.dimensions)
        return self._tensor(self._frozen().ppf(first)).movedim(0, -1)

    def mean(self) -> Tensor:
        """Return the means."""
        return self._tensor(self._frozen().mean())

    def variance(self) -> Tensor:
        """Return the variances."""
        return self._tensor(self._frozen().var())

    def _frozen(self) -> Frozen:
        return self.family.frozen(*(values.cpu().numpy() for values in self.parameters))

    def _tensor(self, values: Array) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float64, device=self.parameters[0].device)
