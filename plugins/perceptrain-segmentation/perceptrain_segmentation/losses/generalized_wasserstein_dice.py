"""The generalized Wasserstein Dice loss, in which some mistakes are worse than others."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from monai.losses.dice import GeneralizedWassersteinDiceLoss as Criterion
from torch import Tensor, nn

from perceptrain.errors import ConfigError
from perceptrain_segmentation.losses.base import Mode, SegmentationLoss
from perceptrain_segmentation.losses.options import Option


class GeneralizedWassersteinDiceLoss(SegmentationLoss):
    """The generalized Wasserstein Dice loss, in which some mistakes are worse than others.

    Fidon et al., "Generalised Wasserstein Dice score for imbalanced multi-class segmentation using
    holistic convolutional networks", arXiv 1707.00478: the error of a pixel is the mean distance of
    the predicted classes from the true one. It applies softmax to the logits itself, and expects
    class 0 to be the background. One-hot labels are converted to indices by argmax.

    See `SegmentationLoss` for the batch.
    """

    monai = Criterion
    own: ClassVar = {
        "dist_matrix": Option(
            "Tensor | Sequence[Sequence[float]] | None",
            "Distances between the classes, ``K`` rows of ``K``, 0 on the diagonal; they are "
            "divided by the largest. Default: 1 between any two.",
        ),
        "weighting_mode": Option(
            "str",
            '"default": true positives of the background do not count; or "GDL": classes are '
            "weighted by their inverse size (arXiv 2007.15546).",
        ),
        "reduction": Option("str", '"mean" or "sum" over the images.'),
    }
    needs_logits = True

    def __init__(self, **options: Any) -> None:
        _check_matrix(options.get("dist_matrix"))
        super().__init__(**options)

    def criterion_options(self, mode: Mode) -> dict[str, Any]:
        """Return the options of MONAI's class for a mode: the matrix, with its default."""
        given = self.options["dist_matrix"]
        matrix = 1 - torch.eye(mode.channels) if given is None else torch.as_tensor(given)
        return {"dist_matrix": matrix}

    def _make(self, mode: Mode, like: Tensor) -> nn.Module:
        criterion = super()._make(mode, like)
        criterion.m = torch.as_tensor(criterion.m).to(like)
        return criterion

    def _evaluate(
        self, criterion: Any, logits: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        channels = logits.shape[1]
        if channels == 1 or criterion.num_classes != channels:
            size = criterion.num_classes
            raise ConfigError(
                f"dist_matrix is {size} x {size}, and the model returned {tuple(logits.shape)}; "
                "expected a channel for each class, the background too, and its row of distances."
            )
        if target.shape[1] > 1:
            target = target.argmax(1, keepdim=True)
        return criterion(logits, target), {}


def _check_matrix(matrix: object) -> None:
    if matrix is None:
        return
    try:
        numbers = torch.as_tensor(matrix, dtype=torch.float64)
    except (TypeError, ValueError):
        numbers = torch.empty(0)
    fits = numbers.ndim == 2 and numbers.shape[0] == numbers.shape[1] and numbers.numel() > 1
    if fits and not numbers.diagonal().any() and 0 <= numbers.min() < numbers.max() < torch.inf:
        return
    raise ConfigError(
        f"dist_matrix={matrix!r}; expected distances of 0 or more, as many rows as columns, and 0 "
        "on the diagonal alone, such as [[0, 1, 1], [1, 0, 0.5], [1, 0.5, 0]]."
    )
