"""Image segmentation: folders of images, a U-Net, the losses of MONAI, Dice score and mIoU.

Importing this package imports neither torch nor MONAI.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perceptrain import Spec, hookimpl, lazy_exports

with lazy_exports(__name__):
    from perceptrain_segmentation.data.image_folder import ImageFolder as ImageFolder
    from perceptrain_segmentation.data.image_folder import image_folder as image_folder
    from perceptrain_segmentation.losses.base import SegmentationLoss as SegmentationLoss
    from perceptrain_segmentation.losses.boundary import BoundaryLoss as BoundaryLoss
    from perceptrain_segmentation.losses.deep_supervision import (
        DeepSupervisionLoss as DeepSupervisionLoss,
    )
    from perceptrain_segmentation.losses.dice import DiceLoss as DiceLoss
    from perceptrain_segmentation.losses.dice_ce import DiceCELoss as DiceCELoss
    from perceptrain_segmentation.losses.dice_focal import DiceFocalLoss as DiceFocalLoss
    from perceptrain_segmentation.losses.focal import FocalLoss as FocalLoss
    from perceptrain_segmentation.losses.generalized_dice import (
        GeneralizedDiceLoss as GeneralizedDiceLoss,
    )
    from perceptrain_segmentation.losses.generalized_dice_focal import (
        GeneralizedDiceFocalLoss as GeneralizedDiceFocalLoss,
    )
    from perceptrain_segmentation.losses.generalized_wasserstein_dice import (
        GeneralizedWassersteinDiceLoss as GeneralizedWassersteinDiceLoss,
    )
    from perceptrain_segmentation.losses.hausdorff_dt import HausdorffDTLoss as HausdorffDTLoss
    from perceptrain_segmentation.losses.hausdorff_dt import (
        LogHausdorffDTLoss as LogHausdorffDTLoss,
    )
    from perceptrain_segmentation.losses.mcc import MCCLoss as MCCLoss
    from perceptrain_segmentation.losses.soft_cldice import SoftclDiceLoss as SoftclDiceLoss
    from perceptrain_segmentation.losses.soft_dice_cldice import (
        SoftDiceclDiceLoss as SoftDiceclDiceLoss,
    )
    from perceptrain_segmentation.losses.tversky import TverskyLoss as TverskyLoss
    from perceptrain_segmentation.metrics.mean_dice import MeanDice as MeanDice
    from perceptrain_segmentation.metrics.mean_iou import MeanIoU as MeanIoU
    from perceptrain_segmentation.models.unet import UNet as UNet
    from perceptrain_segmentation.score import dice_score as dice_score


@hookimpl
def perceptrain_losses() -> list[Spec]:
    """Offer the losses."""
    return [
        _loss("boundary", BoundaryLoss, "Distance to the true boundary (arXiv 1812.07032)"),
        _loss(
            "deep_supervision",
            DeepSupervisionLoss,
            "Another loss at each output resolution (arXiv 1409.5185)",
        ),
        _loss("dice", DiceLoss, "Soft Dice loss (arXiv 1606.04797)"),
        _loss("dice_ce", DiceCELoss, "Dice loss plus cross entropy"),
        _loss("dice_focal", DiceFocalLoss, "Dice loss plus focal loss"),
        _loss("focal", FocalLoss, "Cross entropy that down-weights easy pixels (arXiv 1708.02002)"),
        _loss(
            "generalized_dice",
            GeneralizedDiceLoss,
            "Dice loss, classes weighted by inverse size (arXiv 1707.03237)",
        ),
        _loss(
            "generalized_dice_focal",
            GeneralizedDiceFocalLoss,
            "Generalized Dice loss plus focal loss",
        ),
        _loss(
            "generalized_wasserstein_dice",
            GeneralizedWassersteinDiceLoss,
            "Dice loss, a cost per kind of confusion (arXiv 1707.00478)",
        ),
        _loss(
            "hausdorff_dt",
            HausdorffDTLoss,
            "Hausdorff distance, from distance transforms (arXiv 1904.10030)",
        ),
        _loss("log_hausdorff_dt", LogHausdorffDTLoss, "Logarithm of 1 plus hausdorff_dt"),
        _loss("mcc", MCCLoss, "One minus the Matthews correlation coefficient"),
        _loss(
            "soft_cldice",
            SoftclDiceLoss,
            "Overlap of skeletons, for tubular structures (arXiv 2003.07311)",
        ),
        _loss(
            "soft_dice_cldice",
            SoftDiceclDiceLoss,
            "Weighted mean of Dice and soft_cldice (arXiv 2003.07311)",
        ),
        _loss(
            "tversky",
            TverskyLoss,
            "Dice, weighted false positives and negatives (arXiv 1706.05721)",
        ),
    ]


@hookimpl
def perceptrain_metrics() -> list[Spec]:
    """Offer the metrics."""
    return [
        Spec(
            "mean_dice",
            MeanDice,
            "Mean Dice score of all images and classes, without the background.",
        ),
        Spec(
            "mean_iou",
            MeanIoU,
            "Intersection over union of all pixels, averaged over classes (mIoU).",
        ),
    ]


@hookimpl
def perceptrain_models() -> list[Spec]:
    """Offer the models."""
    return [Spec("unet", UNet, "A small U-Net in two dimensions (arXiv 1505.04597).")]


@hookimpl
def perceptrain_datasets() -> list[Spec]:
    """Offer the data sets."""
    return [
        Spec("image_folder", image_folder, "A folder of images, and one of masks of equal names.")
    ]


def _loss(name: str, target: Callable[..., Any], what: str) -> Spec:
    return Spec(name, target, f"{what}. Batch: (images, labels).")
