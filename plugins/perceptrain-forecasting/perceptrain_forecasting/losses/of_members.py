"""The base class of losses for ensembles."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from perceptrain import check_choice
from perceptrain_forecasting.checks import members_of
from perceptrain_forecasting.losses.base import ForecastLoss
from perceptrain_forecasting.options import check_whole


class MembersLoss(ForecastLoss):
    """A score of an ensemble; a subclass implements `score`.

    Raises:
        ConfigError: An option has a wrong value.
        DataError: The ensemble has too few members.
    """

    def __init__(self, members: int = 16) -> None:
        super().__init__()
        check_whole("members", members, 2)
        self.members = members

    @staticmethod
    def output_size(size: int, members: int = 16, **others: Any) -> int:
        """Return how many outputs a model needs for labels of ``size`` columns."""
        return size * members

    def point_prediction(self, outputs: Any, labels: Tensor) -> Tensor:
        """Return the means of the members, in the shape of the labels."""
        return members_of(outputs, labels.shape).mean(1).reshape(labels.shape)

    def scores(self, outputs: Any, labels: Tensor) -> Tensor:
        """Return the score of each label, or of each row."""
        members = members_of(outputs, labels.shape, self.least(labels))
        return self.score(labels.reshape(len(labels), -1).to(members.dtype), members)

    def least(self, labels: Tensor) -> int:
        """Return the fewest members that are enough."""
        return 2

    def score(self, labels: Tensor, members: Tensor) -> Tensor:
        """Return the scores.

        Args:
            labels: Shape ``(N, D)``.
            members: Shape ``(N, M, D)``.
        """
        raise NotImplementedError


class MemberPairsLoss(MembersLoss):
    """A score of an ensemble that subtracts half the spread of pairs of members."""

    def __init__(self, estimator: str = "fair", members: int = 16) -> None:
        super().__init__(members)
        check_choice("estimator", estimator, ("fair", "nrg"))
        self.estimator = estimator
