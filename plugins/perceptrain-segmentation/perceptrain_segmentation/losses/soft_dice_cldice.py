"""The Dice loss and the soft clDice loss, mixed."""

from __future__ import annotations

from typing import Any

from monai.losses.cldice import SoftDiceclDiceLoss as Criterion
from torch import Tensor

from perceptrain_segmentation.losses.base import Activation, SegmentationLoss
from perceptrain_segmentation.losses.onehot import as_onehot


class SoftDiceclDiceLoss(SegmentationLoss):
    """The Dice loss and the soft clDice loss, mixed.

    Shit et al., "clDice - a novel topology-preserving loss function for tubular structure
    segmentation", arXiv 2003.07311: ``(1 - alpha) dice + alpha cldice``. The terms are the metrics
    ``dice`` and ``cldice``, so that a weighting of terms can go on from there, with
    ``dice_score=False``.

    See `SegmentationLoss` for the batch, and for what the shapes decide.

    Args:
        iter_: Steps of the skeletonisation; at least the largest radius in pixels.
        alpha: The weight of the clDice loss, in [0, 1].
        smooth_nr: Added to the numerators.
        smooth_dr: Added to the denominators.
        smooth: Added to the denominator of the harmonic mean, above 0.
        include_background: Whether class 0, the background, counts.
        to_onehot_y: Whether labels are indices; by default as the shapes say.
        sigmoid: Whether to apply a sigmoid; by default for one channel.
        softmax: Whether to apply softmax; by default for several channels.
        other_act: A function to apply to the logits instead.
        reduction: "mean" or "sum" over the images and classes.
        dice_score: Whether the metrics have the Dice score of the prediction.

    Raises:
        ConfigError: An option cannot be.
    """

    monai = Criterion
    dimensions = (2, 3)

    def __init__(
        self,
        *,
        iter_: int = 3,
        alpha: float = 0.5,
        smooth_nr: float = 1.0,
        smooth_dr: float = 1.0,
        smooth: float = 1e-4,
        include_background: bool = True,
        to_onehot_y: bool | None = None,
        sigmoid: bool | None = None,
        softmax: bool | None = None,
        other_act: Activation | None = None,
        reduction: str = "mean",
        dice_score: bool = True,
    ) -> None:
        super().__init__(
            iter_=iter_,
            alpha=alpha,
            smooth_nr=smooth_nr,
            smooth_dr=smooth_dr,
            smooth=smooth,
            include_background=include_background,
            to_onehot_y=to_onehot_y,
            sigmoid=sigmoid,
            softmax=softmax,
            other_act=other_act,
            reduction=reduction,
            dice_score=dice_score,
        )

    def _evaluate(
        self, criterion: Any, logits: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        target = as_onehot(criterion, logits, target)
        terms = {"dice": criterion.dice(logits, target), "cldice": criterion.cldice(logits, target)}
        return (1 - criterion.alpha) * terms["dice"] + criterion.alpha * terms["cldice"], terms
