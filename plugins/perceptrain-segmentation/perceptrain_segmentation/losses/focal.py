"""The focal loss."""

from __future__ import annotations

from typing import Any, ClassVar

from monai.losses.focal_loss import FocalLoss as Criterion
from torch import Tensor

from perceptrain import Counted
from perceptrain_segmentation.losses.base import Mode, SegmentationLoss
from perceptrain_segmentation.losses.options import Option
from perceptrain_segmentation.score import counted_pixels


class FocalLoss(SegmentationLoss):
    """The focal loss: cross entropy that gives easy pixels less weight.

    Lin et al., "Focal loss for dense object detection", arXiv 1708.02002: ``-(1 - p)^gamma log p``
    of the probability of the true class. It needs logits. With several channels the default
    is softmax, while that of MONAI is a sigmoid for each class. See `SegmentationLoss` for the
    batch.
    """

    monai = Criterion
    own: ClassVar = {
        "gamma": Option("float", "The exponent; 0 is cross entropy."),
        "alpha": Option(
            "float | Sequence[float] | None",
            "With a sigmoid, the weight of the foreground, in [0, 1]; the rest has ``1 - alpha``. "
            "With softmax, the weight of the classes above 0; the background has ``1 - alpha``. Or "
            "one number for each class.",
        ),
        "reduction": Option(
            "str",
            '"mean" over all pixels and classes; or "sum" over images and classes, and the mean '
            "over pixels.",
        ),
        "use_softmax": Option(
            "bool | None", "Whether classes exclude each other. Default: with several channels."
        ),
    }
    needs_logits = True
    overlap_option = "use_softmax=False"
    focal_alpha = True
    softmax_option = "use_softmax"

    def criterion_options(self, mode: Mode) -> dict[str, Any]:
        """Return the options of MONAI's class for a mode."""
        return {"to_onehot_y": mode.to_onehot_y, "use_softmax": mode.softmax}

    def _evaluate(
        self, criterion: Any, logits: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        loss = criterion(logits, target)
        ignored = criterion.ignore_index
        if ignored is None or self.adds_up:
            return loss, {}
        return loss, Counted({}, {"loss": counted_pixels(target, ignored).sum()})
