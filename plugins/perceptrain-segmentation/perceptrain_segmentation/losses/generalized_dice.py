"""The generalized Dice loss."""

from __future__ import annotations

from monai.losses.dice import GeneralizedDiceLoss as Criterion

from perceptrain_segmentation.losses.base import SegmentationLoss


class GeneralizedDiceLoss(SegmentationLoss):
    """The generalized Dice loss.

    Sudre et al., "Generalised Dice overlap as a deep learning loss function for highly unbalanced
    segmentations", arXiv 1707.03237: classes are weighted by their inverse size, and summed before
    the division.

    See `SegmentationLoss` for the batch, and for what the shapes decide.
    """

    monai = Criterion
