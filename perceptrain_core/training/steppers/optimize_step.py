"""The default ``optimize_step``: one step on one batch, for any loop."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from perceptrain_core.optimizer_steps import may_need_residuals
from perceptrain_core.training.steppers.gradients import AdaptiveStepper
from perceptrain_core.training.steppers.least_squares import LeastSquaresStepper
from perceptrain_core.types import LossFunction, SkipBatch, StepResult


def optimize_step(
    model: nn.Module,
    optimizer: Optimizer,
    loss_fn: LossFunction,
    xs: Any,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> StepResult:
    """Take one step of the optimizer on one batch.

    Args:
        model: The model, in training mode.
        optimizer: Any of ``torch.optim``; one that needs a closure (L-BFGS) gets it. For one that
            needs residuals (`GaussNewton`) each call repeats the checks of the first step, which a
            trainer makes once.
        loss_fn: Evaluated once, or as often as the optimizer calls the closure. If it has a method
            ``begin_step``, that is called once before.
        xs: The batch.
        device: Where to move the batch; ``None`` leaves it.
        dtype: For the floating point tensors of the batch; ``None`` leaves them.

    Returns:
        The loss and the metrics, detached, both from before the update.

    Raises:
        SkipBatch: The loss raised it; the parameters have not changed.
    """
    stepper = LeastSquaresStepper if may_need_residuals(optimizer) else AdaptiveStepper
    (result,), _ = stepper(model, optimizer, loss_fn, device, dtype).take([xs])
    if result is None:
        raise SkipBatch
    return result
