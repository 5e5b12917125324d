"""The Dice loss and cross entropy, weighted and added."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from monai.losses.dice import DiceCELoss as Criterion
from torch import Tensor

from perceptrain import Counted
from perceptrain.errors import ConfigError
from perceptrain_segmentation.losses.base import SegmentationLoss
from perceptrain_segmentation.losses.options import Option


class DiceCELoss(SegmentationLoss):
    """The Dice loss and cross entropy, weighted and added.

    With one channel, binary cross entropy; with several that of softmax, whatever ``sigmoid`` says,
    as in MONAI: for overlapping classes use `DiceFocalLoss`. It needs logits. The terms are
    the metrics ``dice`` and ``ce``, so that a weighting of terms can use them, with
    ``dice_score=False``.

    See `SegmentationLoss` for the batch, and for what the shapes decide.
    """

    monai = Criterion
    own: ClassVar = {
        "weight": Option(
            "Tensor | Sequence[float] | None",
            "The weights of the classes in both terms, one for each including the background; with "
            "one channel, of the foreground in the cross entropy.",
        ),
        "lambda_ce": Option("float", "The weight of the cross entropy."),
        "label_smoothing": Option(
            "float",
            "How much of the uniform distribution to mix into the labels of the cross "
            "entropy, from 0 to 1.",
        ),
    }
    needs_logits = True

    def _evaluate(
        self, criterion: Any, logits: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        self._check_weight(logits.shape[1])
        entropy = criterion.ce if logits.shape[1] > 1 else criterion.bce
        terms = {"dice": criterion.dice(logits, target), "ce": entropy(logits, target)}
        loss = criterion.lambda_dice * terms["dice"] + criterion.lambda_ce * terms["ce"]
        weights = criterion.cross_entropy.weight
        if weights is None or target.shape[1] == logits.shape[1] or self.adds_up:
            return loss, terms
        # Of class indices, the cross entropy is a mean over the weights of the pixels.
        factors = {"dice": criterion.lambda_dice, "ce": criterion.lambda_ce}
        return loss, Counted(terms, {"ce": weights[target.long()].sum()}, factors)

    def _check_weight(self, channels: int) -> None:
        weight = self.options["weight"]
        if weight is None or torch.as_tensor(weight).shape == (channels,):
            return
        raise ConfigError(
            f"weight={weight!r}; expected {channels} number{'s' * (channels > 1)}, one for each "
            "channel of the model."
        )
