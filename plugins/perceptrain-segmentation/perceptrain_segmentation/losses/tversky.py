"""The Tversky loss."""

from __future__ import annotations

from monai.losses.tversky import TverskyLoss as Criterion

from perceptrain_segmentation.losses.base import Activation, SegmentationLoss


class TverskyLoss(SegmentationLoss):
    """The Tversky loss.

    Salehi et al., "Tversky loss function for image segmentation using 3D fully convolutional deep
    networks", arXiv 1706.05721: ``1 - TP / (TP + alpha FP + beta FN)``. With 0.5 and 0.5 it is the
    Dice loss; a larger ``beta`` finds more of what is rare.

    See `SegmentationLoss` for the batch, and for what the shapes decide.

    Args:
        include_background: Whether class 0, the background, counts.
        to_onehot_y: Whether labels are indices; by default as the shapes say.
        sigmoid: Whether to apply a sigmoid; by default for one channel.
        softmax: Whether to apply softmax; by default for several channels.
        other_act: A function to apply to the logits instead.
        alpha: The weight of false positives.
        beta: The weight of false negatives.
        reduction: "mean" or "sum" over the images and classes.
        smooth_nr: Added to the numerator.
        smooth_dr: Added to the denominator.
        batch: Whether sizes are summed over the batch first, not image by image.
        soft_label: Whether labels may be anything between 0 and 1.
        ignore_index: A label whose pixels do not count.
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
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str = "mean",
        smooth_nr: float = 1e-5,
        smooth_dr: float = 1e-5,
        batch: bool = False,
        soft_label: bool = False,
        ignore_index: int | None = None,
        dice_score: bool = True,
    ) -> None:
        super().__init__(
            include_background=include_background,
            to_onehot_y=to_onehot_y,
            sigmoid=sigmoid,
            softmax=softmax,
            other_act=other_act,
            alpha=alpha,
            beta=beta,
            reduction=reduction,
            smooth_nr=smooth_nr,
            smooth_dr=smooth_dr,
            batch=batch,
            soft_label=soft_label,
            ignore_index=ignore_index,
            dice_score=dice_score,
        )
