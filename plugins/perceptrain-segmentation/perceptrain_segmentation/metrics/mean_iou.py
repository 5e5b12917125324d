"""Intersection over union as a metric over a data set."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_segmentation.metrics.base import MaskMetric


class MeanIoU(MaskMetric):
    """Intersection over union of all pixels of the data set, averaged over classes (mIoU).

    Classes that are neither predicted nor true anywhere are left out.

    Args:
        include_background: Whether class 0 counts. With one channel or ``multilabel``, every
            channel does.
        multilabel: Whether classes may overlap, so that channels are predicted independently.
        threshold: For independent channels: 0 for logits, 0.5 for probabilities.
        ignore_index: A label whose pixels do not count.
    """

    def __init__(
        self,
        include_background: bool = True,
        multilabel: bool = False,
        threshold: float = 0.0,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(include_background, multilabel, threshold, ignore_index)

    def sums(self, both: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Return the pixels of each class in both masks and in either, ``(2, C)``."""
        return torch.stack([both.double().sum(0), (predicted + truth - both).double().sum(0)])

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean over the classes; NaN if there is none."""
        both, either = sums[:, sums[1] > 0]
        return torch.mean(both / either)
