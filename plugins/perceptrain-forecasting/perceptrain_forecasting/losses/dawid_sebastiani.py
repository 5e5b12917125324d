"""The score of Dawid and Sebastiani of an ensemble.

That of scoringrules in torch takes the logarithm of a determinant, which is 0 for many columns of
small values, and scores one row after another.
"""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain import values_are_checked
from perceptrain.errors import DataError
from perceptrain_forecasting.losses.of_members import MembersLoss


class DawidSebastianiLoss(MembersLoss):
    """Score of Dawid and Sebastiani (1999) of the mean and the covariance of an ensemble.

    It is ``(y - m)' C^-1 (y - m) + log det C``, where m is the mean of the members and C their
    covariance, with ``M - 1`` in the denominator. For normal forecasts it is twice the log score,
    up to a constant.

    The model returns members of shape ``(N, M, D)`` or ``(N, M D)``, more members than columns;
    with hardly more the covariance is a poor estimate.

    Args:
        members: The members for which a run file sizes the model.

    Raises:
        DataError: There are not more members than columns, or the members of a row lie in a plane,
            so that their covariance has no inverse.
    """

    def least(self, labels: Tensor) -> int:
        """Return the fewest members that are enough."""
        return 2 if labels.ndim < 2 else labels.shape[1] + 1

    def score(self, labels: Tensor, members: Tensor) -> Tensor:
        """Return the score of each row."""
        mean = members.mean(1)
        centred = members - mean.unsqueeze(1)
        covariance = centred.mT @ centred / (members.shape[1] - 1)
        factor, failed = torch.linalg.cholesky_ex(covariance)
        if values_are_checked(failed) and bool(failed.any()):
            raise DataError(
                f"The covariance of the members has no inverse in {int((failed > 0).sum())} of "
                f"{len(failed)} rows; expected members that differ in all directions. Use more "
                'members, or the loss "energy_score".'
            )
        errors = (labels - mean).unsqueeze(-1)
        whitened = torch.linalg.solve_triangular(factor, errors, upper=False).squeeze(-1)
        logs = factor.diagonal(dim1=-2, dim2=-1).log()
        score: Tensor = whitened.square().sum(-1) + 2 * logs.sum(-1)
        return score
