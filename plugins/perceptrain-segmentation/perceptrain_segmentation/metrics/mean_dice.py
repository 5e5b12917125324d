"""The Dice score as a metric over a data set."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_segmentation.metrics.base import MaskMetric


class MeanDice(MaskMetric):
    """Mean Dice score of all images and classes, of the classes in the labels of each image.

    For all images in one batch it is `dice_score`, and `compute_dice` of MONAI. If no label of the
    data set has any class, each image and class scores 1 if nothing was predicted and 0 otherwise.

    Args:
        include_background: Whether class 0 counts. With one channel or ``multilabel``, every
            channel does.
        multilabel: Whether classes may overlap, so that channels are predicted independently.
        threshold: For independent channels: 0 for logits, 0.5 for probabilities.
        ignore_index: A label whose pixels do not count.
    """

    def __init__(
        self,
        include_background: bool = False,
        multilabel: bool = False,
        threshold: float = 0.0,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(include_background, multilabel, threshold, ignore_index)

    def sums(self, both: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Return the scores and the number of present classes, then the same for absent ones."""
        present = truth > 0
        scores = 2 * both.double() / (predicted + truth).clamp(min=1)
        parts = (scores * present, present, (predicted == 0) & ~present, ~present)
        return torch.stack([part.sum().double() for part in parts])

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean score."""
        score, present, empty, absent = sums.unbind()
        return score / present if present else empty / absent
