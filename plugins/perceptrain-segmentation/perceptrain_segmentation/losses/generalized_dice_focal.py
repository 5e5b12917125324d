"""The generalized Dice loss and the focal loss, weighted and added."""

from __future__ import annotations

from typing import Any, ClassVar

from monai.losses.dice import GeneralizedDiceFocalLoss as Criterion
from torch import Tensor

from perceptrain_segmentation.losses.base import SegmentationLoss
from perceptrain_segmentation.losses.options import Option


class GeneralizedDiceFocalLoss(SegmentationLoss):
    """The generalized Dice loss and the focal loss, weighted and added.

    The focal term is that of each class against the rest, with a sigmoid, as in MONAI. The
    terms are the metrics ``generalized_dice`` and ``focal``, so that a weighting of terms can go on
    from there, with ``dice_score=False``.

    See `SegmentationLoss` for the batch, and for what the shapes decide.
    """

    monai = Criterion
    own: ClassVar = {
        "weight": Option(
            "Weight",
            "The weights of the classes in the focal term, one for each that counts, or one for "
            "all.",
        ),
        "lambda_gdl": Option("float", "The weight of the generalized Dice loss."),
    }
    needs_logits = True

    def _evaluate(
        self, criterion: Any, logits: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        dice = criterion.generalized_dice(logits, target)
        focal = criterion.focal(logits, target)
        loss = criterion.lambda_gdl * dice + criterion.lambda_focal * focal
        return loss, {"generalized_dice": dice, "focal": focal}
