"""The soft clDice loss, for tubes and their connections."""

from __future__ import annotations

from typing import ClassVar

from monai.losses.cldice import SoftclDiceLoss as Criterion

from perceptrain_segmentation.losses.base import SegmentationLoss
from perceptrain_segmentation.losses.options import Option


class SoftclDiceLoss(SegmentationLoss):
    """The soft clDice loss, for tubes and their connections.

    Shit et al., "clDice - a novel topology-preserving loss function for tubular structure
    segmentation", arXiv 2003.07311: the overlap of each skeleton with the other region. Combine
    it with a region loss, as `SoftDiceclDiceLoss` does.

    See `SegmentationLoss` for the batch, and for what the shapes decide.
    """

    has_ties = True

    monai = Criterion
    own: ClassVar = {
        "smooth_nr": Option("float", "Added to the numerators."),
        "smooth_dr": Option("float", "Added to the denominators."),
        "reduction": Option("str", '"mean" or "sum" over the images.'),
    }
    dimensions = (2, 3)
