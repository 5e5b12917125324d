"""The Dice loss and the soft clDice loss, mixed."""

from __future__ import annotations

from typing import Any, ClassVar

from monai.losses.cldice import SoftDiceclDiceLoss as Criterion
from torch import Tensor

from perceptrain_segmentation.losses.base import SegmentationLoss
from perceptrain_segmentation.losses.onehot import as_onehot
from perceptrain_segmentation.losses.options import Option


class SoftDiceclDiceLoss(SegmentationLoss):
    """The Dice loss and the soft clDice loss, mixed.

    Shit et al., "clDice - a novel topology-preserving loss function for tubular structure
    segmentation", arXiv 2003.07311: ``(1 - alpha) dice + alpha cldice``. The terms are the metrics
    ``dice`` and ``cldice``, so that a weighting of terms can use them, with
    ``dice_score=False``.

    See `SegmentationLoss` for the batch, and for what the shapes decide.
    """

    has_ties = True

    monai = Criterion
    own: ClassVar = {
        "alpha": Option("float", "The weight of the clDice loss, in [0, 1]."),
        "smooth_nr": Option("float", "Added to the numerators."),
        "smooth_dr": Option("float", "Added to the denominators."),
    }
    dimensions = (2, 3)

    def _evaluate(
        self, criterion: Any, logits: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        target = as_onehot(criterion, logits, target)
        terms = {"dice": criterion.dice(logits, target), "cldice": criterion.cldice(logits, target)}
        return (1 - criterion.alpha) * terms["dice"] + criterion.alpha * terms["cldice"], terms
