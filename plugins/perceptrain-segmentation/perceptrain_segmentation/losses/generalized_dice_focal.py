"""The generalised Dice loss and the focal loss, weighed and added."""

from __future__ import annotations

from typing import Any

from monai.losses.dice import GeneralizedDiceFocalLoss as Criterion
from torch import Tensor

from perceptrain_segmentation.losses.base import Activation, SegmentationLoss, Weight


class GeneralizedDiceFocalLoss(SegmentationLoss):
    """The generalised Dice loss and the focal loss, weighed and added.

    The focal term is that of each class against the rest, with a sigmoid, as MONAI has it. The
    terms are the metrics ``generalized_dice`` and ``focal``, so that a weighting of terms can go on
    from there, with ``dice_score=False``.

    See `SegmentationLoss` for the batch, and for what the shapes decide.

    Args:
        include_background: Whether class 0, the background, counts.
        to_onehot_y: Whether labels are indices; by default as the shapes say.
        sigmoid: Whether to apply a sigmoid; by default for one channel.
        softmax: Whether to apply softmax; by default for several channels.
        other_act: A function to apply to the logits instead.
        w_type: The weights: "square", "simple" (the inverse size) or "uniform".
        reduction: "mean" or "sum" over the images and classes.
        smooth_nr: Added to the numerator.
        smooth_dr: Added to the denominator.
        batch: Whether sizes are summed over the batch first, not image by image.
        gamma: The exponent of the focal loss; 0 is cross entropy.
        weight: Of the classes in the focal term, one for each that counts, or one for all.
        lambda_gdl: The weight of the generalised Dice loss.
        lambda_focal: The weight of the focal loss.
        dice_score: Whether the metrics have the Dice score of the prediction.

    Raises:
        ConfigError: An option cannot be.
    """

    monai = Criterion
    needs_logits = True

    def __init__(
        self,
        *,
        include_background: bool = True,
        to_onehot_y: bool | None = None,
        sigmoid: bool | None = None,
        softmax: bool | None = None,
        other_act: Activation | None = None,
        w_type: str = "square",
        reduction: str = "mean",
        smooth_nr: float = 1e-5,
        smooth_dr: float = 1e-5,
        batch: bool = False,
        gamma: float = 2.0,
        weight: Weight = None,
        lambda_gdl: float = 1.0,
        lambda_focal: float = 1.0,
        dice_score: bool = True,
    ) -> None:
        super().__init__(
            include_background=include_background,
            to_onehot_y=to_onehot_y,
            sigmoid=sigmoid,
            softmax=softmax,
            other_act=other_act,
            w_type=w_type,
            reduction=reduction,
            smooth_nr=smooth_nr,
            smooth_dr=smooth_dr,
            batch=batch,
            gamma=gamma,
            weight=weight,
            lambda_gdl=lambda_gdl,
            lambda_focal=lambda_focal,
            dice_score=dice_score,
        )

    def _evaluate(
        self, criterion: Any, logits: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        dice = criterion.generalized_dice(logits, target)
        focal = criterion.focal(logits, target)
        loss = criterion.lambda_gdl * dice + criterion.lambda_focal * focal
        return loss, {"generalized_dice": dice, "focal": focal}
