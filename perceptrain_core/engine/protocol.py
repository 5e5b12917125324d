"""What the trainer requires of an engine, for one process, several, or several machines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from perceptrain_core.engine.fully_sharded import FullySharded
from perceptrain_core.types import Count, Loader, LossFunction

Value = TypeVar("Value")


class Engine(Protocol):
    """Runs training on devices and processes.

    Methods that involve all processes must be called in all of them, in the same order.

    Attributes:
        sharded: The model, while it is sharded over the processes.
    """

    device: torch.device
    dtype: torch.dtype | None
    rank: int
    world_size: int
    sharded: FullySharded | None

    def prepare(
        self, model: nn.Module, optimizer: object, loss_fn: object, shards: bool = False
    ) -> None:
        """Move the parts to the device, in place, with equal values in all processes.

        Args:
            model: The model; in all processes but the first it may be on the device "meta".
            optimizer: Any optimizer, or ``None``; only the state of torch's is moved.
            loss_fn: The loss; it is moved if it is a module.
            shards: Whether the model will be sharded: parameters that will be are left as they
                are.

        Raises:
            TrainingError: In the first process, the model has no values.
        """
        ...

    def place(self, batch: Any) -> Any:
        """Move a batch to the device, and its floating point tensors to the dtype."""
        ...

    def shard(self, loader: Loader, even: bool) -> Loader:
        """Return this process's share of a loader.

        Args:
            loader: The same in all processes.
            even: Whether all shares must have the same number of batches, as in training.
        """
        ...

    def join(self, step_loss: LossFunction, parts: Sequence[object]) -> LossFunction:
        """Return a loss whose gradients are averaged over all processes.

        Args:
            step_loss: The loss, as the loop calls it.
            parts: The owners of the parameters: the model, the loss, the optimizer, in this order.
        """
        ...

    def whole(self, writes: bool = True) -> AbstractContextManager[None]:
        """Make the parameters of a sharded model whole inside a ``with`` block.

        Args:
            writes: Whether changes to the parameters are kept.
        """
        ...

    def align(self, *modules: object) -> None:
        """Copy buffers, such as the averages of a BatchNorm, from the first process to all."""
        ...

    def any(self, flag: bool) -> bool:
        """Whether the flag is true in any process."""
        ...

    def totals(self, counts: Sequence[Count]) -> list[Count]:
        """Return the sum of each count over all processes; on a GPU as tensors."""
        ...

    def gather(self, value: Value) -> list[Value]:
        """Return the value of each process, by rank."""
        ...

    def broadcast(self, value: Value, src: int = 0) -> Value:
        """Return the value of process ``src`` in all processes."""
        ...
