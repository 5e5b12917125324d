"""One minus Matthews' correlation coefficient."""

from __future__ import annotations

from monai.losses.mcc_loss import MCCLoss as Criterion

from perceptrain_segmentation.losses.base import SegmentationLoss


class MCCLoss(SegmentationLoss):
    """One minus Matthews' correlation coefficient.

    Abhishek, Hamarneh, "Matthews correlation coefficient loss for deep convolutional networks:
    application to skin lesion segmentation", doi 10.1109/ISBI48211.2021.9433782. It counts
    true negatives too.

    See `SegmentationLoss` for the batch, and for what the shapes decide.
    """

    monai = Criterion
