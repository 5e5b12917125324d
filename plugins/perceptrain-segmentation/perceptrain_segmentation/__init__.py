"""Image segmentation: the losses of MONAI by name, and the Dice score of the prediction.

Importing this module imports neither torch nor MONAI: each name is fetched from its home when it
is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perceptrain import Spec, hookimpl

if TYPE_CHECKING:
    from perceptrain_segmentation.losses.base import SegmentationLoss
    from perceptrain_segmentation.losses.boundary import BoundaryLoss
    from perceptrain_segmentation.losses.deep_supervision import DeepSupervisionLoss
    from perceptrain_segmentation.losses.dice import DiceLoss
    from perceptrain_segmentation.losses.dice_ce import DiceCELoss
    from perceptrain_segmentation.losses.dice_focal import DiceFocalLoss
    from perceptrain_segmentation.losses.focal import FocalLoss
    from perceptrain_segmentation.losses.generalized_dice import GeneralizedDiceLoss
    from perceptrain_segmentation.losses.generalized_dice_focal import GeneralizedDiceFocalLoss
    from perceptrain_segmentation.losses.generalized_wasserstein_dice import (
        GeneralizedWassersteinDiceLoss,
    )
    from perceptrain_segmentation.losses.hausdorff_dt import HausdorffDTLoss, LogHausdorffDTLoss
    from perceptrain_segmentation.losses.mcc import MCCLoss
    from perceptrain_segmentation.losses.soft_cldice import SoftclDiceLoss
    from perceptrain_segmentation.losses.soft_dice_cldice import SoftDiceclDiceLoss
    from perceptrain_segmentation.losses.tversky import TverskyLoss
    from perceptrain_segmentation.score import dice_score

#: Where each public name lives.
_HOMES = {
    "score": ("dice_score",),
    "losses.base": ("SegmentationLoss",),
    "losses.boundary": ("BoundaryLoss",),
    "losses.deep_supervision": ("DeepSupervisionLoss",),
    "losses.dice": ("DiceLoss",),
    "losses.dice_ce": ("DiceCELoss",),
    "losses.dice_focal": ("DiceFocalLoss",),
    "losses.focal": ("FocalLoss",),
    "losses.generalized_dice": ("GeneralizedDiceLoss",),
    "losses.generalized_dice_focal": ("GeneralizedDiceFocalLoss",),
    "losses.generalized_wasserstein_dice": ("GeneralizedWassersteinDiceLoss",),
    "losses.hausdorff_dt": ("HausdorffDTLoss", "LogHausdorffDTLoss"),
    "losses.mcc": ("MCCLoss",),
    "losses.soft_cldice": ("SoftclDiceLoss",),
    "losses.soft_dice_cldice": ("SoftDiceclDiceLoss",),
    "losses.tversky": ("TverskyLoss",),
}
_HOME = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}

__all__ = [
    "BoundaryLoss",
    "DeepSupervisionLoss",
    "DiceCELoss",
    "DiceFocalLoss",
    "DiceLoss",
    "FocalLoss",
    "GeneralizedDiceFocalLoss",
    "GeneralizedDiceLoss",
    "GeneralizedWassersteinDiceLoss",
    "HausdorffDTLoss",
    "LogHausdorffDTLoss",
    "MCCLoss",
    "SegmentationLoss",
    "SoftDiceclDiceLoss",
    "SoftclDiceLoss",
    "TverskyLoss",
    "dice_score",
]


@hookimpl
def perceptrain_losses() -> list[Spec]:
    """Offer the losses."""
    return [
        _loss("boundary", "BoundaryLoss", "Distance to the true boundary (arXiv 1812.07032)"),
        _loss(
            "deep_supervision",
            "DeepSupervisionLoss",
            "A loss at each resolution that the model gives (arXiv 1409.5185)",
        ),
        _loss("dice", "DiceLoss", "Soft Dice loss (arXiv 1606.04797)"),
        _loss("dice_ce", "DiceCELoss", "Dice loss plus cross entropy"),
        _loss("dice_focal", "DiceFocalLoss", "Dice loss plus focal loss"),
        _loss("focal", "FocalLoss", "Cross entropy, easy pixels count less (arXiv 1708.02002)"),
        _loss(
            "generalized_dice",
            "GeneralizedDiceLoss",
            "Dice loss, classes weighed by their inverse size (arXiv 1707.03237)",
        ),
        _loss(
            "generalized_dice_focal",
            "GeneralizedDiceFocalLoss",
            "Generalised Dice loss plus focal loss",
        ),
        _loss(
            "generalized_wasserstein_dice",
            "GeneralizedWassersteinDiceLoss",
            "Dice loss in which some mistakes are worse than others (arXiv 1707.00478)",
        ),
        _loss(
            "hausdorff_dt",
            "HausdorffDTLoss",
            "Hausdorff distance, by distance transforms (arXiv 1904.10030)",
        ),
        _loss(
            "log_hausdorff_dt",
            "LogHausdorffDTLoss",
            "Logarithm of 1 plus hausdorff_dt",
            home="hausdorff_dt",
        ),
        _loss("mcc", "MCCLoss", "One minus Matthews' correlation coefficient"),
        _loss("soft_cldice", "SoftclDiceLoss", "Overlap of skeletons of tubes (arXiv 2003.07311)"),
        _loss(
            "soft_dice_cldice",
            "SoftDiceclDiceLoss",
            "Dice loss and soft_cldice, mixed (arXiv 2003.07311)",
        ),
        _loss(
            "tversky",
            "TverskyLoss",
            "Dice with weights of false positives and negatives (arXiv 1706.05721)",
        ),
    ]


def _loss(name: str, attribute: str, what: str, home: str | None = None) -> Spec:
    target = f"perceptrain_segmentation.losses.{home or name}:{attribute}"
    return Spec(name, target, f"{what}. Batch: (images, labels).")


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
