"""The continuous ranked probability score of an ensemble."""

from __future__ import annotations

import scoringrules
from torch import Tensor

from perceptrain_forecasting.losses.of_members import MemberPairsLoss


class CRPSEnsembleLoss(MemberPairsLoss):
    """Continuous ranked probability score (CRPS) of an ensemble, in the units of the labels.

    For members x it is ``mean |x - y| - spread / 2``, where the spread is the mean of
    ``|x - x'|`` over all pairs (Gneiting and Raftery, 2007, equation 21). Each column is scored by
    itself; memory grows with the square of the members.

    The model returns members of shape ``(N, M, D)`` or ``(N, M D)``, at least two.

    Args:
        estimator: "fair" takes the mean over pairs of different members, and estimates the CRPS of
            the distribution that the members are drawn from (Ferro, 2014). "nrg" takes all pairs,
            and is the CRPS of the members as a distribution.
        members: The members for which a run file sizes the model.
    """

    def score(self, labels: Tensor, members: Tensor) -> Tensor:
        """Return the CRPS of each label."""
        found: Tensor = scoringrules.crps_ensemble(
            labels, members, m_axis=1, estimator=self.estimator, backend="torch"
        )
        return found
