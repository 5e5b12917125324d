"""The loss in lower precision: the parameters stay as they are, what torch holds safe is cast."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from perceptrain_core.types import LossFunction, StepResult

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class AutocastLoss:
    """Evaluate a loss under ``torch.autocast``; in all else it is the loss.

    Args:
        loss_fn: The loss.
        device: The device of the model.
        dtype: What operations are cast to.
    """

    def __init__(self, loss_fn: LossFunction, device: torch.device, dtype: torch.dtype) -> None:
        self._loss_fn = loss_fn
        self._device = device
        self._dtype = dtype

    def __call__(self, batch: Any, model: nn.Module) -> StepResult:
        """Evaluate the loss."""
        with torch.autocast(self._device.type, self._dtype):
            return self._loss_fn(batch, model)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # its own, before they are there: in a copy
            raise AttributeError(name)
        return getattr(self._loss_fn, name)


def in_precision(loss_fn: LossFunction, precision: str, device: torch.device) -> LossFunction:
    """Give the loss as it is to be called in a precision; in the full one it is the loss itself."""
    if precision == "full":
        return loss_fn
    return AutocastLoss(loss_fn, device, _DTYPES[precision])
