"""The Dice loss and cross entropy, weighed and added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.losses.dice import DiceCELoss as Criterion
from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_segmentation.losses.base import Activation, SegmentationLoss


class DiceCELoss(SegmentationLoss):
    """The Dice loss and cross entropy, weighed and added.

    With one channel, binary cross entropy; with several that of softmax, whatever ``sigmoid`` says,
    as MONAI has it: for classes that overlap take `DiceFocalLoss`. It needs logits. The terms are
    the metrics ``dice`` and ``ce``, so that a weighting of terms can go on from there, with
    ``dice_score=False``.

    See `SegmentationLoss` for the batch, and for what the shapes decide.

    Args:
        include_background: Whether class 0, the background, counts.
        to_onehot_y: Whether labels are indices; by default as the shapes say.
        sigmoid: Whether to apply a sigmoid; by default for one channel.
        softmax: Whether to apply softmax; by default for several channels.
        other_act: A function to apply to the logits instead.
        squared_pred: Whether the sizes in the denominator are sums of squares.
        jaccard: Whether to take intersection over union instead.
        reduction: "mean" or "sum" over the images and classes.
        smooth_nr: Added to the numerator.
        smooth_dr: Added to the denominator.
        batch: Whether sizes are summed over the batch first, not image by image.
        weight: Of the classes in both terms, one for each with the background; with one channel,
            of the foreground in the cross entropy.
        lambda_dice: The weight of the Dice loss.
        lambda_ce: The weight of the cross entropy.
        label_smoothing: How far the labels of the cross entropy are mixed with the uniform
            distribution.
        dice_score: Whether the metrics have the Dice score of the prediction.

    Raises:
        ConfigError: An option cannot be.
    """

    monai = Criterion
    needs_logits = True

    def __init__(
        self,
        *,
        include_background: bool = True,
        to_onehot_y: bool | None = None,
        sigmoid: bool | None = None,
        softmax: bool | None = None,
        other_act: Activation | None = None,
        squared_pred: bool = False,
        jaccard: bool = False,
        reduction: str = "mean",
        smooth_nr: float = 1e-5,
        smooth_dr: float = 1e-5,
        batch: bool = False,
        weight: Tensor | Sequence[float] | None = None,
        lambda_dice: float = 1.0,
        lambda_ce: float = 1.0,
        label_smoothing: float = 0.0,
        dice_score: bool = True,
    ) -> None:
        super().__init__(
            include_background=include_background,
            to_onehot_y=to_onehot_y,
            sigmoid=sigmoid,
            softmax=softmax,
            other_act=other_act,
            squared_pred=squared_pred,
            jaccard=jaccard,
            reduction=reduction,
            smooth_nr=smooth_nr,
            smooth_dr=smooth_dr,
            batch=batch,
            weight=weight,
            lambda_dice=lambda_dice,
            lambda_ce=lambda_ce,
            label_smoothing=label_smoothing,
            dice_score=dice_score,
        )

    def _evaluate(
        self, criterion: Any, logits: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        self._check_weight(logits.shape[1])
        entropy = criterion.ce if logits.shape[1] > 1 else criterion.bce
        terms = {"dice": criterion.dice(logits, target), "ce": entropy(logits, target)}
        loss = criterion.lambda_dice * terms["dice"] + criterion.lambda_ce * terms["ce"]
        return loss, terms

    def _check_weight(self, channels: int) -> None:
        weight = self.options["weight"]
        if weight is None or torch.as_tensor(weight).shape == (channels,):
            return
        raise ConfigError(
            f"weight={weight!r}; expected {channels} number{'s' * (channels > 1)}, one for each "
            "channel of the model."
        )
