"""The Hausdorff distance, estimated by distance transforms."""

from __future__ import annotations

from typing import ClassVar

from monai.losses import hausdorff_loss

from perceptrain_segmentation.losses.base import SegmentationLoss
from perceptrain_segmentation.losses.options import Option


class HausdorffDTLoss(SegmentationLoss):
    """The Hausdorff distance, estimated by distance transforms.

    Karimi, Salcudean, "Reducing the Hausdorff distance in medical image segmentation with
    convolutional neural networks", arXiv 1904.10030: squared errors, times the distances from the
    true and from the predicted boundary to a power. SciPy computes these on the CPU, for
    every batch. Use it once the regions overlap.

    See `SegmentationLoss` for the batch, and for what the shapes decide.
    """

    monai = hausdorff_loss.HausdorffDTLoss
    own: ClassVar = {"alpha": Option("float", "The power of the distances.")}
    dimensions = (2, 3)
    whole_batch = False  # the distances are those of each image

    @property
    def adds_up(self) -> bool:
        """Whether the loss is a sum over images; with ``batch`` it sums the classes alone."""
        return super().adds_up and not self.options["batch"]


class LogHausdorffDTLoss(HausdorffDTLoss):
    """The logarithm of 1 plus the Hausdorff loss, to dampen large values."""

    monai = hausdorff_loss.LogHausdorffDTLoss
    whole_batch = True  # the logarithm of a mean
