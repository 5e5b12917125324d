"""The generalised Dice loss."""

from __future__ import annotations

from monai.losses.dice import GeneralizedDiceLoss as Criterion

from perceptrain_segmentation.losses.base import Activation, SegmentationLoss


class GeneralizedDiceLoss(SegmentationLoss):
    """The generalised Dice loss.

    Sudre et al., "Generalised Dice overlap as a deep learning loss function for highly unbalanced
    segmentations", arXiv 1707.03237: classes are weighed by their inverse size, and added before
    the division.

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
        soft_label: Whether labels may be anything between 0 and 1.
        dice_score: Whether the metrics have the Dice score of the prediction.

    Raises:
        ConfigError: An option cannot be.
    """

    monai = Criterion

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
        soft_label: bool = False,
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
            soft_label=soft_label,
            dice_score=dice_score,
        )
