"""The boundary loss."""

from __future__ import annotations

from monai.losses.boundary_loss import BoundaryLoss as Criterion

from perceptrain_segmentation.losses.base import Activation, SegmentationLoss


class BoundaryLoss(SegmentationLoss):
    """The boundary loss.

    Kervadec et al., "Boundary loss for highly unbalanced segmentation", arXiv 1812.07032: the mean
    of the probabilities times the signed distance from the true boundary, negative inside. Its
    least value is negative. The paper adds it to a loss of regions. SciPy computes the distances
    on the CPU, at every batch.

    See `SegmentationLoss` for the batch, and for what the shapes decide.

    Args:
        include_background: Whether class 0, the background, counts.
        to_onehot_y: Whether labels are indices; by default as the shapes say.
        sigmoid: Whether to apply a sigmoid; by default for one channel.
        softmax: Whether to apply softmax; by default for several channels.
        other_act: A function to apply to the logits instead.
        reduction: "mean" or "sum" over the images and classes.
        batch: Whether the mean over the images is taken before the reduction.
        dice_score: Whether the metrics have the Dice score of the prediction.

    Raises:
        ConfigError: An option cannot be.
    """

    monai = Criterion
    dimensions = (2, 3)

    def __init__(
        self,
        *,
        include_background: bool = True,
        to_onehot_y: bool | None = None,
        sigmoid: bool | None = None,
        softmax: bool | None = None,
        other_act: Activation | None = None,
        reduction: str = "mean",
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
            batch=batch,
            dice_score=dice_score,
        )
