"""The Tversky loss."""

from __future__ import annotations

from typing import ClassVar

from monai.losses.tversky import TverskyLoss as Criterion

from perceptrain_segmentation.losses.base import SegmentationLoss
from perceptrain_segmentation.losses.options import Option


class TverskyLoss(SegmentationLoss):
    """The Tversky loss.

    Salehi et al., "Tversky loss function for image segmentation using 3D fully convolutional deep
    networks", arXiv 1706.05721: ``1 - TP / (TP + alpha FP + beta FN)``. With 0.5 and 0.5 it is the
    Dice loss; a larger ``beta`` finds more of what is rare.

    See `SegmentationLoss` for the batch, and for what the shapes decide.
    """

    monai = Criterion
    own: ClassVar = {
        "alpha": Option("float", "The weight of false positives."),
        "beta": Option("float", "The weight of false negatives."),
    }
