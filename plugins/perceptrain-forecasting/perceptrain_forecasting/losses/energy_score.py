"""The energy score of an ensemble of vectors."""

from __future__ import annotations

import scoringrules
from torch import Tensor

from perceptrain_forecasting.losses.of_members import MemberPairsLoss


class EnergyScoreLoss(MemberPairsLoss):
    """Energy score of an ensemble: the CRPS of all columns together, such as those of a path.

    For members x it is ``mean |x - y| - spread / 2`` with Euclidean norms, where the spread is the
    mean of ``|x - x'|`` over all pairs (Gneiting and Raftery, 2007, equation 22).

    The model returns members of shape ``(N, M, D)`` or ``(N, M D)``, at least two.

    Args:
        estimator: "fair" takes the mean over pairs of different members, "nrg" over all pairs, see
            ``crps_ensemble``.
        members: The members for which a run file sizes the model.
    """

    def score(self, labels: Tensor, members: Tensor) -> Tensor:
        """Return the energy score of each row."""
        found: Tensor = scoringrules.es_ensemble(
            labels, members, estimator=self.estimator, backend="torch"
        )
        return found
