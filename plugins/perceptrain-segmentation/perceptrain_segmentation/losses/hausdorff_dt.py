"""The Hausdorff distance, estimated by distance transforms."""

from __future__ import annotations

from monai.losses import hausdorff_loss

from perceptrain_segmentation.losses.base import Activation, SegmentationLoss


class HausdorffDTLoss(SegmentationLoss):
    """The Hausdorff distance, estimated by distance transforms.

    Karimi, Salcudean, "Reducing the Hausdorff distance in medical image segmentation with
    convolutional neural networks", arXiv 1904.10030: squared errors, times the distances from the
    true and from the predicted boundary to a power. SciPy computes these on the CPU, at every
    batch. It is meant to be used once the regions overlap.

    See `SegmentationLoss` for the batch, and for what the shapes decide.

    Args:
        alpha: The power of the distances.
        include_background: Whether class 0, the background, counts.
        to_onehot_y: Whether labels are indices; by default as the shapes say.
        sigmoid: Whether to apply a sigmoid; by default for one channel.
        softmax: Whether to apply softmax; by default for several channels.
        other_act: A function to apply to the logits instead.
        reduction: "mean" or "sum" over the images and classes.
        batch: Whether sizes are summed over the batch first, not image by image.
        dice_score: Whether the metrics have the Dice score of the prediction.

    Raises:
        ConfigError: An option cannot be.
    """

    monai = hausdorff_loss.HausdorffDTLoss
    dimensions = (2, 3)

    def __init__(
        self,
        *,
        alpha: float = 2.0,
        include_background: bool = False,
        to_onehot_y: bool | None = None,
        sigmoid: bool | None = None,
        softmax: bool | None = None,
        other_act: Activation | None = None,
        reduction: str = "mean",
        batch: bool = False,
        dice_score: bool = True,
    ) -> None:
        super().__init__(
            alpha=alpha,
            include_background=include_background,
            to_onehot_y=to_onehot_y,
            sigmoid=sigmoid,
            softmax=softmax,
            other_act=other_act,
            reduction=reduction,
            batch=batch,
            dice_score=dice_score,
        )


class LogHausdorffDTLoss(HausdorffDTLoss):
    """The logarithm of 1 plus the Hausdorff loss, whose large values it tames.

    The options are those of `HausdorffDTLoss`.
    """

    monai = hausdorff_loss.LogHausdorffDTLoss
