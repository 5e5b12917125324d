"""One process, one device."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import nn
from torch.optim import Optimizer

from perceptrain_core.data.support.device import data_to_device
from perceptrain_core.engine.fully_sharded import FullySharded
from perceptrain_core.engine.meta_model import require_values
from perceptrain_core.errors import TrainingError
from perceptrain_core.types import Count, Loader, LossFunction

Value = TypeVar("Value")


class LocalEngine:
    """Train in this process, on one device.

    Args:
        compute_setup: ``"cpu"``, ``"gpu"`` (CUDA), or ``"auto"``: CUDA if available.
        dtype: For the model and floating point data; ``None`` leaves them.

    Raises:
        TrainingError: ``"gpu"`` is requested and there is no GPU.
    """

    rank = 0
    world_size = 1
    sharded: FullySharded | None = None

    def __init__(self, compute_setup: str = "cpu", dtype: torch.dtype | None = None) -> None:
        self.device = torch.device("cuda" if use_gpu(compute_setup) else "cpu")
        self.dtype = dtype

    def prepare(
        self, model: nn.Module, optimizer: object, loss_fn: object, shards: bool = False
    ) -> None:
        """Move the model, the optimizer state, and the loss if it is a module.

        Raises:
            TrainingError: The model has no values.
        """
        require_values(model)
        before = [(p.device, p.dtype) for p in model.parameters()]
        model.to(device=self.device, dtype=self.dtype)
        if isinstance(loss_fn, nn.Module):
            loss_fn.to(device=self.device, dtype=self.dtype)
        moved = before != [(p.device, p.dtype) for p in model.parameters()]
        if moved and isinstance(optimizer, Optimizer) and optimizer.state:
            # Loading its own state casts it to the device and dtype of its parameters.
            optimizer.load_state_dict(optimizer.state_dict())

    def place(self, batch: Any) -> Any:
        """Move a batch to the device, and its floating point tensors to the dtype."""
        return data_to_device(batch, self.device, self.dtype)

    def shard(self, loader: Loader, even: bool) -> Loader:
        """Return the loader: this process gets all of it."""
        return loader

    def join(self, step_loss: LossFunction, parts: Sequence[object]) -> LossFunction:
        """Return the loss itself."""
        return step_loss

    def whole(self, writes: bool = True) -> AbstractContextManager[None]:
        """Make the parameters of a sharded model whole inside a ``with`` block."""
        return nullcontext() if self.sharded is None else self.sharded.whole(writes)

    def align(self, *modules: object) -> None:
        """Do nothing."""

    def any(self, flag: bool) -> bool:
        """Return the flag."""
        return flag

    def totals(self, counts: Sequence[Count]) -> list[Count]:
        """Return the counts."""
        return list(counts)

    def gather(self, value: Value) -> list[Value]:
        """Return the value in a list."""
        return [value]

    def broadcast(self, value: Value, src: int = 0) -> Value:
        """Return the value."""
        return value


def use_gpu(compute_setup: str) -> bool:
    """Whether to compute on a GPU.

    Raises:
        TrainingError: ``"gpu"`` is requested and there is no GPU.
    """
    if compute_setup == "gpu" and not torch.cuda.is_available():
        raise TrainingError(
            'compute_setup="gpu", but torch finds no CUDA device. Use "auto" to use a GPU '
            'only if there is one, or "cpu".'
        )
    return compute_setup != "cpu" and torch.cuda.is_available()
