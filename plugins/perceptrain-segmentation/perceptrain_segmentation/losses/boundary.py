"""The boundary loss."""

from __future__ import annotations

from typing import ClassVar

from monai.losses.boundary_loss import BoundaryLoss as Criterion

from perceptrain_segmentation.losses.base import SegmentationLoss
from perceptrain_segmentation.losses.options import Option


class BoundaryLoss(SegmentationLoss):
    """The boundary loss.

    Kervadec et al., "Boundary loss for highly unbalanced segmentation", arXiv 1812.07032: the mean
    of the probabilities times the signed distance from the true boundary, negative inside. Its
    minimum is negative. The paper adds it to a region loss. SciPy computes the distances on the
    CPU, for every batch.

    See `SegmentationLoss` for the batch, and for what the shapes decide.
    """

    monai = Criterion
    own: ClassVar = {
        "batch": Option("bool", "Whether to average over the images before the reduction."),
    }
    dimensions = (2, 3)
    whole_batch = False  # the distances are those of each image

    @property
    def adds_up(self) -> bool:
        """Whether the loss is a sum over images; with ``batch`` it sums the classes alone."""
        return super().adds_up and not self.options["batch"]
