"""The soft clDice loss, for tubes and their connections."""

from __future__ import annotations

from monai.losses.cldice import SoftclDiceLoss as Criterion

from perceptrain_segmentation.losses.base import Activation, SegmentationLoss


class SoftclDiceLoss(SegmentationLoss):
    """The soft clDice loss, for tubes and their connections.

    Shit et al., "clDice - a novel topology-preserving loss function for tubular structure
    segmentation", arXiv 2003.07311: the overlap of each skeleton with the other region. It is meant
    to be mixed with a loss of regions, as `SoftDiceclDiceLoss` does.

    See `SegmentationLoss` for the batch, and for what the shapes decide.

    Args:
        iter_: Steps of the skeletonisation; at least the largest radius in pixels.
        smooth_nr: Added to the numerators.
        smooth_dr: Added to the denominators.
        smooth: Added to the denominator of the harmonic mean, above 0.
        include_background: Whether class 0, the background, counts.
        to_onehot_y: Whether labels are indices; by default as the shapes say.
        sigmoid: Whether to apply a sigmoid; by default for one channel.
        softmax: Whether to apply softmax; by default for several channels.
        other_act: A function to apply to the logits instead.
        reduction: "mean" or "sum" over the images.
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
