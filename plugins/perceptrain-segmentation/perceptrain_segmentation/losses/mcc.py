"""One minus Matthews' correlation coefficient."""

from __future__ import annotations

from monai.losses.mcc_loss import MCCLoss as Criterion

from perceptrain_segmentation.losses.base import Activation, SegmentationLoss


class MCCLoss(SegmentationLoss):
    """One minus Matthews' correlation coefficient.

    Abhishek, Hamarneh, "Matthews correlation coefficient loss for deep convolutional networks:
    application to skin lesion segmentation", doi 10.1109/ISBI48211.2021.9433782. It counts
    true negatives too.

    See `SegmentationLoss` for the batch, and for what the shapes decide.

    Args:
        include_background: Whether class 0, the background, counts.
        to_onehot_y: Whether labels are indices; by default as the shapes say.
        sigmoid: Whether to apply a sigmoid; by default for one channel.
        softmax: Whether to apply softmax; by default for several channels.
        other_act: A function to apply to the logits instead.
        reduction: "mean" or "sum" over the images and classes.
        smooth_nr: Added to the numerator.
        smooth_dr: Added to the denominator.
        batch: Whether sizes are summed over the batch first, not image by image.
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
        reduction: str = "mean",
        smooth_nr: float = 0.0,
        smooth_dr: float = 1e-5,
        batch: bool = False,
        dice_score: bool = True,
    ) -> None:
        super().__init__(
            include_background=include_background,
            to_onehot_y=to_onehot_y,
            sigmoid=sigmoid,
            softmax=softmax,
            other_act=other_act,
            reduction=reduction,
            smooth_nr=smooth_nr,
            smooth_dr=smooth_dr,
            batch=batch,
            dice_score=dice_score,
        )
