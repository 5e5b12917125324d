"""ArcFace of the library, with gradients that are always finite."""

from __future__ import annotations

import torch
from pytorch_metric_learning import losses  # type: ignore[import-untyped]
from torch import Tensor


class _FiniteAngles:
    """Clamp cosines slightly inside -1 and 1, where the slope of the arc cosine is infinite.

    Otherwise a sample that reaches its centre would turn every parameter into NaN. All other values
    and gradients are those of the library.
    """

    def get_angles(self, cosine_of_target_classes: Tensor) -> Tensor:
        limit = 1 - torch.finfo(cosine_of_target_classes.dtype).eps
        inside = cosine_of_target_classes.clamp(-limit, limit)
        angles: Tensor = super().get_angles(inside)  # type: ignore[misc]
        return angles


class FiniteArcFaceLoss(_FiniteAngles, losses.ArcFaceLoss):  # type: ignore[misc]
    """ArcFace of the library with finite gradients."""


class FiniteSubCenterArcFaceLoss(_FiniteAngles, losses.SubCenterArcFaceLoss):  # type: ignore[misc]
    """Sub-centre ArcFace of the library with finite gradients."""
