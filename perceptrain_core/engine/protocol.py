"""What the trainer asks of the machine: one process, many, or many machines look alike to it."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import nn


class Engine(Protocol):
    """Puts a model to work on devices and processes; the training loop knows only this."""

    device: torch.device
    dtype: torch.dtype | None
    rank: int

    def prepare(self, model: nn.Module, optimizer: Any, loss_fn: Any) -> tuple[nn.Module, Any, Any]:
        """Bring model, optimizer and loss to the device.

        Returns:
            What the loop is to use: the same objects, or wrappers of them.
        """
        ...

    def place(self, batch: Any) -> Any:
        """Bring a batch to the device."""
        ...
