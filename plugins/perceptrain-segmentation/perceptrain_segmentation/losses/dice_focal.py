"""The Dice loss and the focal loss, weighed and added."""

from __future__ import annotations

from typing import Any

from monai.losses.dice import DiceFocalLoss as Criterion
from torch import Tensor

from perceptrain_segmentation.losses.base import Activation, SegmentationLoss, Weight
from perceptrain_segmentation.losses.onehot import as_onehot


class DiceFocalLoss(SegmentationLoss):
    """The Dice loss and the focal loss, weighed and added.

    The focal term is that of each class against the rest, with a sigmoid, as MONAI has it. The
    terms are the metrics ``dice`` and ``focal``, so that a weighting of terms can go on from there,
    with ``dice_score=False``.

    See `SegmentationLoss` for the batch, and for what the shapes decide.

    Args:
        include_background: Whether class 0, the background, counts.
        to_onehot_y: Whether labels are indices; by default as the shapes say.
        sigmoid: Whether to apply a sigmoid; by default for one channel.
        softmax: Whether to apply softmax; by default for several channels.
        other_act: A function to apply to the logits instead.
        squared_pred: Whether the sizes in the denominator are sums of squares.
        jaccard: Whether to take intersection over union instead.
        reduction: "mean" or "sum" over the images and classes.
        smooth_nr: Added to the numerator.
        smooth_dr: Added to the denominator.
        batch: Whether sizes are summed over the batch first, not image by image.
        gamma: The exponent of the focal loss; 0 is cross entropy.
        weight: Of the classes, one for each that counts, or one for all.
        lambda_dice: The weight of the Dice loss.
        lambda_focal: The weight of the focal loss.
        alpha: The weight of the foreground in the focal loss, in [0, 1]; that of the rest is
            ``1 - alpha``.
        dice_score: Whether the metrics have the Dice score of the prediction.

    Raises:
        ConfigError: An option cannot be.
    """

    monai = Criterion
    needs_logits = True
    focal_alpha = True

    def __init__(
        self,
        *,
        include_background: bool = True,
        to_onehot_y: bool | None = None,
        sigmoid: bool | None = None,
        softmax: bool | None = None,
        other_act: Activation | None = None,
        squared_pred: bool = False,
        jaccard: bool = False,
        reduction: str = "mean",
        smooth_nr: float = 1e-5,
        smooth_dr: float = 1e-5,
        batch: bool = False,
        gamma: float = 2.0,
        weight: Weight = None,
        lambda_dice: float = 1.0,
        lambda_focal: float = 1.0,
        alpha: float | None = None,
        dice_score: bool = True,
    ) -> None:
        super().__init__(
            include_background=include_background,
            to_onehot_y=to_onehot_y,
            sigmoid=sigmoid,
            softmax=softmax,
            other_act=other_act,
            squared_pred=squared_pred,
            jaccard=jaccard,
            reduction=reduction,
            smooth_nr=smooth_nr,
            smooth_dr=smooth_dr,
            batch=batch,
            gamma=gamma,
            weight=weight,
            lambda_dice=lambda_dice,
            lambda_focal=lambda_focal,
            alpha=alpha,
            dice_score=dice_score,
        )

    def _evaluate(
        self, criterion: Any, logits: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        target = as_onehot(criterion, logits, target)
        terms = {"dice": criterion.dice(logits, target), "focal": criterion.focal(logits, target)}
        loss = criterion.lambda_dice * terms["dice"] + criterion.lambda_focal * terms["focal"]
        return loss, terms
