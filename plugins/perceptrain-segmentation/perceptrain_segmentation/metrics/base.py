"""The base of metrics that compare masks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from perceptrain.errors import DataError
from perceptrain_segmentation.score import class_masks, count


class MaskMetric:
    """Compare the mask of the prediction with the true one, for each image and class.

    Args:
        include_background: Whether class 0 counts. With one channel or ``multilabel``, every
            channel does.
        multilabel: Whether classes may overlap, so that channels are predicted independently.
        threshold: For independent channels: 0 for logits, 0.5 for probabilities.
        ignore_index: A label whose pixels do not count.
    """

    higher_is_better = True

    def __init__(
        self,
        include_background: bool,
        multilabel: bool,
        threshold: float,
        ignore_index: int | None,
    ) -> None:
        self.include_background = include_background
        self.multilabel = multilabel
        self.threshold = threshold
        self.ignore_index = ignore_index
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self._sums: Tensor | None = None

    @torch.no_grad()
    def update(self, preds: Any, target: Any) -> None:
        """Add a batch of logits and labels, in the shapes of `dice_score`.

        Raises:
            ShapeError: The shapes do not match.
            DataError: One is not a tensor or has a wrong dtype.
        """
        predicted, truth = class_masks(
            preds,
            target,
            self.multilabel,
            self.threshold,
            self.ignore_index,
            self.include_background,
        )
        sums = self.sums(count(predicted & truth), count(predicted), count(truth))
        self._sums = sums if self._sums is None else self._sums + sums

    def merge_state(self, other: MaskMetric) -> None:
        """Add the images that another metric of the same class has seen."""
        if self._sums is None or other._sums is None:
            self._sums = other._sums if self._sums is None else self._sums
        else:
            self._sums = self._sums + other._sums

    def to(self, device: torch.device | str) -> MaskMetric:
        """Move the sums to a device."""
        self._sums = None if self._sums is None else self._sums.to(device)
        return self

    def compute(self) -> Tensor:
        """Return the metric over all images.

        Raises:
            DataError: There was no image.
        """
        if self._sums is None:
            raise DataError(f"{type(self).__name__} has seen no images, so it has no value.")
        return self.value(self._sums)

    def sums(self, both: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """Return what to add up over batches, in float64; subclasses implement this.

        Args:
            both: The pixels of each image and class in both masks, ``(N, C)``.
            predicted: The pixels in the predicted mask.
            truth: The pixels in the true mask.
        """
        raise NotImplementedError

    def value(self, sums: Tensor) -> Tensor:
        """Return the metric for the sums over all batches; subclasses implement this."""
        raise NotImplementedError
