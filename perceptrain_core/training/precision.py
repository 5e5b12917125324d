"""The loss in lower precision, by autocast; the parameters keep their dtype."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from perceptrain_core.types import LossFunction, StepResult

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class AutocastLoss:
    """Evaluate a loss under ``torch.autocast``; all other attributes are those of the loss.

    Args:
        loss_fn: The loss.
        device: The device of the model.
        dtype: The dtype that operations are cast to.
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
        if name.startswith("_"):  # not set yet while a copy is being created
            raise AttributeError(name)
        return getattr(self._loss_fn, name)


def in_precision(loss_fn: LossFunction, precision: str, device: torch.device) -> LossFunction:
    """Return the loss in a precision: an `AutocastLoss` if it is mixed, else the loss itself."""
    if precision not in _DTYPES:
        return loss_fn
    return AutocastLoss(loss_fn, device, _DTYPES[precision])
