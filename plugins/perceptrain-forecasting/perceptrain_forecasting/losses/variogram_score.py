"""The variogram score of an ensemble of vectors.

That of scoringrules has no finite gradient in torch if the power is below 1: the difference of a
column from itself is 0, where the derivative of the power is infinite.
"""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain.errors import ShapeError
from perceptrain_forecasting.losses.of_members import MembersLoss
from perceptrain_forecasting.options import check_positive


class VariogramScoreLoss(MembersLoss):
    """Variogram score of an ensemble: how well it has the differences between columns.

    It is the sum over all ordered pairs of columns i and j of
    ``(|y_i - y_j|^power - mean |x_i - x_j|^power)^2`` (Scheuerer and Hamill, 2015, equation 7, with
    weights of 1). It does not see a value that all columns have in common, so add a CRPS.

    The model returns members of shape ``(N, M, D)`` or ``(N, M D)``, at least two, and the labels
    have at least two columns.

    Args:
        power: The power of the differences; 0.5 is robust.
        members: The members for which a run file sizes the model.
    """

    def __init__(self, power: float = 0.5, members: int = 16) -> None:
        super().__init__(members)
        check_positive("power", power)
        self.power = float(power)

    def score(self, labels: Tensor, members: Tensor) -> Tensor:
        """Return the variogram score of each row."""
        columns = labels.shape[1]
        if columns < 2:
            raise ShapeError(
                f"The labels have shape {tuple(labels.shape)}; the variogram score compares "
                'columns and expects at least two. For one, use "crps_ensemble".'
            )
        first, second = torch.triu_indices(columns, columns, 1, device=labels.device)
        observed = self._powers(labels[:, first] - labels[:, second])
        forecast = self._powers(members[..., first] - members[..., second]).mean(1)
        return 2 * (observed - forecast).square().sum(-1)

    def _powers(self, differences: Tensor) -> Tensor:
        """Return the powers of absolute differences, with a gradient of 0 where these are 0."""
        zero = differences == 0
        sizes = torch.where(zero, 1.0, differences).abs()
        return torch.where(zero, 0.0, sizes**self.power)
