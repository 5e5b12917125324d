"""The focal loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai.losses.focal_loss import FocalLoss as Criterion

from perceptrain_segmentation.losses.base import Mode, SegmentationLoss, Weight


class FocalLoss(SegmentationLoss):
    """The focal loss: cross entropy that counts easy pixels less.

    Lin et al., "Focal loss for dense object detection", arXiv 1708.02002: ``-(1 - p)^gamma log p``
    of the probability of the true class. It needs logits. MONAI takes a sigmoid for each class
    unless told otherwise; here several channels get softmax unless told otherwise. See
    `SegmentationLoss` for the batch.

    Args:
        include_background: Whether class 0, the background, counts.
        to_onehot_y: Whether labels are indices; by default as the shapes say.
        gamma: The exponent; 0 is cross entropy.
        alpha: With a sigmoid the weight of the foreground, in [0, 1], and ``1 - alpha`` that of
            the rest; with softmax of the classes above 0 and of the background. Or numbers, one
            for each class.
        weight: Of the classes, one for each that counts, or one for all.
        reduction: "mean" over all pixels and classes; or "sum" over images and classes, and the
            mean over pixels.
        use_softmax: Whether classes exclude each other; by default with several channels.
        ignore_index: A label whose pixels do not count.
        dice_score: Whether the metrics have the Dice score of the prediction.

    Raises:
        ConfigError: An option cannot be.
    """

    monai = Criterion
    needs_logits = True
    overlap_option = "use_softmax=False"
    focal_alpha = True
    softmax_option = "use_softmax"

    def __init__(
        self,
        *,
        include_background: bool = True,
        to_onehot_y: bool | None = None,
        gamma: float = 2.0,
        alpha: float | Sequence[float] | None = None,
        weight: Weight = None,
        reduction: str = "mean",
        use_softmax: bool | None = None,
        ignore_index: int | None = None,
        dice_score: bool = True,
    ) -> None:
        super().__init__(
            to_onehot_y=to_onehot_y,
            softmax=use_softmax,
            sigmoid=None if use_softmax is None else not use_softmax,
            dice_score=dice_score,
            include_background=include_background,
            gamma=gamma,
            alpha=alpha,
            weight=weight,
            reduction=reduction,
            ignore_index=ignore_index,
        )

    def criterion_options(self, mode: Mode) -> dict[str, Any]:
        """Give the options of MONAI's class for a mode."""
        return {"to_onehot_y": mode.to_onehot_y, "use_softmax": mode.softmax}
