"""Mean absolute error."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.losses.support.residuals import pointwise
from perceptrain_core.types import Metrics, TBatch


def l1_loss(batch: TBatch, model: nn.Module, *, reduction: str = "mean") -> tuple[Tensor, Metrics]:
    """Mean absolute error, ``mean(|f(x) - y|)``, as ``torch.nn.L1Loss``.

    Args:
        batch: ``(inputs, labels)``; or a dict of points for a PINN, whose residuals are compared
            with zero. A third tensor holds a weight for each row, shape ``(N,)``.
        model: Returns outputs of the shape and dtype of the labels, or a dict of residuals.
        reduction: "mean" or "sum" over all elements.

    Returns:
        The loss, and no metrics. For a dict of residuals, the sum of their losses, and as metrics
        each of them by name, with its graph.

    Raises:
        ShapeError: Outputs and labels differ in shape; nothing is broadcast.
        DataError: The batch, the dtypes or the names do not match, or the batch is empty.
        ConfigError: The reduction does not return a scalar.
    """
    return pointwise(F.l1_loss, batch, model, reduction)
