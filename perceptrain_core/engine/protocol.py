"""What the trainer asks of the machine: one process, many, or many machines look alike to it."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Engine(Protocol):
    """Puts a model to work on devices and processes; the training loop knows only this."""

    device: torch.device
    dtype: torch.dtype | None
    rank: int
    world_size: int

    def prepare(
        self, model: nn.Module, optimizer: Optimizer | Any, loss_fn: Any
    ) -> tuple[nn.Module, Optimizer | Any, Any]:
        """Bring model, optimizer and loss to the device; the optimizer keeps its parameters."""
        ...

    def place(self, batch: Any) -> Any:
        """Bring a batch to the device."""
        ...

    def reduce(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Average named scalars over the processes."""
        ...
