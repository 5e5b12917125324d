"""The soft Dice loss."""

from __future__ import annotations

from monai.losses.dice import DiceLoss as Criterion

from perceptrain_segmentation.losses.base import Activation, SegmentationLoss, Weight


class DiceLoss(SegmentationLoss):
    """The soft Dice loss.

    Milletari et al., "V-Net", arXiv 1606.04797: ``1 - 2 |A and B| / (|A| + |B|)`` of probabilities
    and labels, for each image and class.

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
        weight: Of the classes, one for each that counts, or one for all.
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
        squared_pred: bool = False,
        jaccard: bool = False,
        reduction: str = "mean",
        smooth_nr: float = 1e-5,
        smooth_dr: float = 1e-5,
        batch: bool = False,
        weight: Weight = None,
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
            squared_pred=squared_pred,
            jaccard=jaccard,
            reduction=reduction,
            smooth_nr=smooth_nr,
            smooth_dr=smooth_dr,
            batch=batch,
            weight=weight,
            soft_label=soft_label,
            ignore_index=ignore_index,
            dice_score=dice_score,
        )
