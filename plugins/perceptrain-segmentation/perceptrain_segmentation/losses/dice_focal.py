"""The Dice loss and the focal loss, weighted and added."""

from __future__ import annotations

from typing import Any, ClassVar

from monai.losses.dice import DiceFocalLoss as Criterion
from torch import Tensor

from perceptrain_segmentation.losses.base import SegmentationLoss
from perceptrain_segmentation.losses.onehot import as_onehot
from perceptrain_segmentation.losses.options import Option


class DiceFocalLoss(SegmentationLoss):
    """The Dice loss and the focal loss, weighted and added.

    The focal term is that of each class against the rest, with a sigmoid, as in MONAI. The
    terms are the metrics ``dice`` and ``focal``, so that a weighting of terms can use them,
    with ``dice_score=False``.

    See `SegmentationLoss` for the batch, and for what the shapes decide.
    """

    monai = Criterion
    own: ClassVar = {
        "alpha": Option(
            "float | None",
            "The weight of the foreground in the focal loss, in [0, 1]; the rest has "
            "``1 - alpha``.",
        ),
    }
    needs_logits = True
    focal_alpha = True

    def _evaluate(
        self, criterion: Any, logits: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        target = as_onehot(criterion, logits, target)
        terms = {"dice": criterion.dice(logits, target), "focal": criterion.focal(logits, target)}
        loss = criterion.lambda_dice * terms["dice"] + criterion.lambda_focal * terms["focal"]
        return loss, terms
