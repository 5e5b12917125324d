"""Mean squared error."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from perceptrain_core.losses.support.residuals import pointwise
from perceptrain_core.losses.support.squares import squared_differences
from perceptrain_core.types import Metrics, TBatch

_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}


def mse_loss(batch: TBatch, model: nn.Module, *, reduction: str = "mean") -> tuple[Tensor, Metrics]:
    """Mean squared error, ``mean((f(x) - y)^2)``, as ``torch.nn.MSELoss``.

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
    return pointwise(_squared_error, batch, model, reduction)


def _squared_error(outputs: Tensor, labels: Tensor, reduction: str) -> Tensor:
    # What F.mse_loss calls after broadcasting, which is not needed here.
    error: Tensor = torch._C._nn.mse_loss(outputs, labels, _REDUCTIONS[reduction])  # type: ignore[arg-type]
    return error


mse_loss.residuals = squared_differences  # type: ignore[attr-defined]
