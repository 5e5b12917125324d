"""Smooth L1: squared near zero, absolute beyond."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.losses.support.residuals import pointwise
from perceptrain_core.types import Metrics, TBatch


def smooth_l1_loss(
    batch: TBatch, model: nn.Module, *, beta: float = 1.0, reduction: str = "mean"
) -> tuple[Tensor, Metrics]:
    """Smooth L1 loss, as ``torch.nn.SmoothL1Loss`` (Girshick, "Fast R-CNN", arXiv 1504.08083).

    With ``d = |f(x) - y|`` an element costs ``d^2 / (2 beta)`` below ``beta``, and
    ``d - beta / 2`` from there on.

    Args:
        batch: ``(inputs, labels)``; or a dict of points for a PINN, whose residuals are compared
            with zero.
        model: Gives outputs of the shape and dtype of the labels, or a dict of residuals.
        beta: Where the loss turns from squared to absolute; not negative.
        reduction: "mean" or "sum" over all elements.

    Returns:
        The loss, and no metrics. For a dict of residuals the sum of their losses, and each by
        name, part of the graph.

    Raises:
        ShapeError: Outputs and labels differ in shape; nothing is broadcast.
        DataError: The batch, the dtypes or the names do not fit, or the batch is empty.
        ConfigError: The reduction gives no scalar.
    """
    return pointwise(F.smooth_l1_loss, batch, model, reduction, beta=beta)
