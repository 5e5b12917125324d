"""What metrics and pictures ask of a forecast, however it is described."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from perceptrain_forecasting.forecasts.uniform import share_below


class Forecast(ABC):
    """A predictive distribution for each label, without gradients, in float64.

    The shape is that of the labels, ``(N,)`` or ``(N, D)``.
    """

    @abstractmethod
    def crps(self, labels: Tensor) -> Tensor:
        """Return the CRPS of each label, in the shape of the labels."""

    @abstractmethod
    def pit(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return between which values the probability integral transform of each label is.

        Both are the same for a distribution with a density. An ensemble and a few quantiles only
        say between which probabilities a label is (Czado, Gneiting and Held, 2009).
        """

    def share_below(self, labels: Tensor, levels: Sequence[float]) -> Tensor:
        """Return how much of each label is below the quantiles of some levels, in a last dimension.

        That is 0 or 1, or a number between where a label is only known to be between two levels.
        """
        return share_below(*self.pit(labels), labels.new_tensor(list(levels)))

    @abstractmethod
    def quantiles(self, levels: Sequence[float]) -> Tensor:
        """Return the quantiles of some levels, in a last dimension.

        Raises:
            ConfigError: The forecast does not have these quantiles.
        """

    @abstractmethod
    def mean(self) -> Tensor:
        """Return the means.

        Raises:
            ConfigError: The forecast does not have them.
        """

    @abstractmethod
    def variance(self) -> Tensor:
        """Return the variances.

        Raises:
            ConfigError: The forecast does not have them.
        """
