"""The base class of losses for parametric distributions."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from perceptrain_forecasting.families.by_name import family_of, outputs_for
from perceptrain_forecasting.families.parameters import parameters_of
from perceptrain_forecasting.forecasts.of_family import FamilyForecast
from perceptrain_forecasting.losses.base import ForecastLoss
from perceptrain_forecasting.options import check_whole


class DistributionLoss(ForecastLoss):
    """A score of a parametric distribution; a subclass implements `score`.

    Raises:
        ConfigError: There is no such distribution, or the number of components is below 1.
        DataError: A parameter of a tuple has a value that it cannot have, such as a scale of 0; or
            a label is not above 0, for a distribution of positive numbers.
    """

    def __init__(self, distribution: str = "normal", components: int = 3) -> None:
        super().__init__()
        check_whole("components", components, 1)
        self.family = family_of(distribution)
        self.distribution, self.components = distribution, components

    @staticmethod
    def output_size(
        size: int, distribution: str = "normal", components: int = 3, **others: Any
    ) -> int:
        """Return how many outputs a model needs for labels of ``size`` columns."""
        return size * outputs_for(distribution, components)

    @property
    def outputs_per_label(self) -> int:
        """The outputs for each label; of them, the first is the prediction if it is a location."""
        return len(self.family.parameters) if self.family.located else 1

    @property
    def positive(self) -> bool:
        """Whether labels must be above 0."""
        return self.family.positive

    def point_prediction(self, outputs: Any, labels: Tensor) -> Tensor:
        """Return the locations, or the means of distributions that have none."""
        if self.family.located:
            return parameters_of(self.family, outputs, labels.shape)[0]
        return FamilyForecast(self.family, outputs, labels.shape).mean()

    def scores(self, outputs: Any, labels: Tensor) -> Tensor:
        """Return the score of each label."""
        parameters = parameters_of(self.family, outputs, labels.shape)
        return self.score(labels.to(parameters[0].dtype), *parameters)

    def score(self, labels: Tensor, *parameters: Tensor) -> Tensor:
        """Return the score of each label for the parameters of its distribution."""
        raise NotImplementedError
