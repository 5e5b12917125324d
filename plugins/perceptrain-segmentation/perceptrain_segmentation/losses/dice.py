"""The soft Dice loss."""

from __future__ import annotations

from monai.losses.dice import DiceLoss as Criterion

from perceptrain_segmentation.losses.base import SegmentationLoss


class DiceLoss(SegmentationLoss):
    """The soft Dice loss.

    Milletari et al., "V-Net", arXiv 1606.04797: ``1 - 2 |A and B| / (|A| + |B|)`` of probabilities
    and labels, for each image and class.

    See `SegmentationLoss` for the batch, and for what the shapes decide.
    """

    monai = Criterion
