"""Huber loss."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.errors import ConfigError
from perceptrain_core.losses.support.residuals import pointwise
from perceptrain_core.types import Metrics, TBatch


def huber_loss(
    batch: TBatch, model: nn.Module, *, delta: float = 1.0, reduction: str = "mean"
) -> tuple[Tensor, Metrics]:
    """Huber loss, as ``torch.nn.HuberLoss`` (Huber, 1964): smooth L1 times ``delta``.

    With ``d = |f(x) - y|``, the loss of an element is ``d^2 / 2`` for ``d <= delta`` and
    ``delta (d - delta / 2)`` otherwise.

    Args:
        batch: ``(inputs, labels)``; or a dict of points for a PINN, whose residuals are compared
            with zero. A third tensor holds a weight for each row, shape ``(N,)``.
        model: Returns outputs of the shape and dtype of the labels, or a dict of residuals.
        delta: Threshold between the squared and the linear part; positive.
        reduction: "mean" or "sum" over all elements.

    Returns:
        The loss, and no metrics. For a dict of residuals, the sum of their losses, and as metrics
        each of them by name, with its graph.

    Raises:
        ShapeError: Outputs and labels differ in shape; nothing is broadcast.
        DataError: The batch, the dtypes or the names do not match, or the batch is empty.
        ConfigError: The reduction does not return a scalar.
    """
    if not delta > 0:
        raise ConfigError(f"delta={delta}: expected a number above 0, where the loss turns linear.")
    return pointwise(F.huber_loss, batch, model, reduction, delta=delta)
