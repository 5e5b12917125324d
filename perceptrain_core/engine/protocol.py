"""What the trainer asks of the machine: one process, many, or many machines look alike to it."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from perceptrain_core.types import Loader, LossFunction

Value = TypeVar("Value")


class Engine(Protocol):
    """Puts a model to work on devices and processes; the training loop knows only this.

    What is said of all processes has to be called in all of them, in the same order.
    """

    device: torch.device
    dtype: torch.dtype | None
    rank: int
    world_size: int

    def prepare(self, model: nn.Module, optimizer: Any, loss_fn: Any) -> tuple[nn.Module, Any, Any]:
        """Bring model, optimizer and loss to the device; in all processes they become alike.

        Returns:
            What the loop is to use: the same objects, or wrappers of them.
        """
        ...

    def place(self, batch: Any) -> Any:
        """Bring a batch to the device."""
        ...

    def shard(self, loader: Loader, even: bool) -> Loader:
        """Give this process its share of a loader.

        Args:
            loader: The same in all processes.
            even: Whether all shares need the same number of batches: in training.
        """
        ...

    def join(self, step_loss: LossFunction, parts: list[Any]) -> LossFunction:
        """Give a loss whose gradients are the means over all processes.

        Args:
            step_loss: The loss, as the loop calls it.
            parts: What has the parameters: the model, the loss, the optimizer.
        """
        ...

    def align(self, *modules: Any) -> None:
        """Give the buffers of modules, such as averages of a BatchNorm, to all processes."""
        ...

    def any(self, flag: bool) -> bool:
        """Whether something is true in any process."""
        ...

    def gather(self, value: Value) -> list[Value]:
        """Give what each process has, by rank."""
        ...

    def broadcast(self, value: Value) -> Value:
        """Give all processes what the first has."""
        ...
