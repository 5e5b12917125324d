"""Smooth L1 loss."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.errors import ConfigError
from perceptrain_core.losses.support.residuals import pointwise
from perceptrain_core.types import Metrics, TBatch


def smooth_l1_loss(
    batch: TBatch, model: nn.Module, *, beta: float = 1.0, reduction: str = "mean"
) -> tuple[Tensor, Metrics]:
    """Smooth L1 loss, as ``torch.nn.SmoothL1Loss`` (Girshick, "Fast R-CNN", arXiv 1504.08083).

    With ``d = |f(x) - y|``, the loss of an element is ``d^2 / (2 beta)`` for ``d < beta`` and
    ``d - beta / 2`` otherwise.

    Args:
        batch: ``(inputs, labels)``; or a dict of points for a PINN, whose residuals are compared
            with zero. A third tensor holds a weight for each row, shape ``(N,)``.
        model: Returns outputs of the shape and dtype of the labels, or a dict of residuals.
        beta: Threshold between the squared and the absolute part; not negative.
        reduction: "mean" or "sum" over all elements.

    Returns:
        The loss, and no metrics. For a dict of residuals, the sum of their losses, and as metrics
        each of them by name, with its graph.

    Raises:
        ShapeError: Outputs and labels differ in shape; nothing is broadcast.
        DataError: The batch, the dtypes or the names do not match, or the batch is empty.
        ConfigError: The reduction does not return a scalar.
    """
    if not beta >= 0:
        raise ConfigError(f"beta={beta}: expected a number of at least 0; 0 gives the l1 loss.")
    return pointwise(F.smooth_l1_loss, batch, model, reduction, beta=beta)
