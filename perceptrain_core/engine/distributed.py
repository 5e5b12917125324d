"""Several processes, each on its own device, connected by ``torch.distributed``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from perceptrain_core.data.support.device import data_to_device
from perceptrain_core.engine.environment import has_gpus_of_its_own, launched_processes
from perceptrain_core.engine.exchange import broadcast_tensors
from perceptrain_core.engine.joint_loss import JointLoss
from perceptrain_core.engine.local import LocalEngine, use_gpu
from perceptrain_core.engine.meta_model import give_memory, move, require_values
from perceptrain_core.engine.process_group import PROCESS_TIMEOUT, join_group
from perceptrain_core.engine.shard_choice import can_be_sharded
from perceptrain_core.engine.sharded_loss import ShardedLoss
from perceptrain_core.engine.sharded_optimizer import share_states
from perceptrain_core.engine.sharding import shard_loader
from perceptrain_core.engine.trained_parameters import TrainedParameters
from perceptrain_core.engine.uncaught import report_uncaught
from perceptrain_core.errors import TrainingError
from perceptrain_core.parameters import buffers_of, parameters_of
from perceptrain_core.processes import connected_processes
from perceptrain_core.types import Count, Loader, LossFunction

Value = TypeVar("Value")

_LARGEST = 2**62


class DistributedEngine(LocalEngine):
    """Train in all processes of a group, of which this is one.

    Each process reads its rank from the environment variables set by ``torchrun``, Slurm or
    another launcher. The process group is created here, unless it exists already.

    Args:
        compute_setup: ``"cpu"``; ``"gpu"``, one for each process of a machine; or ``"auto"``.
        dtype: For the model and floating point data; ``None`` keeps theirs.
        backend: Of ``torch.distributed``; ``"auto"`` is NCCL for GPUs, Gloo for CPUs.
        timeout: Seconds that a process waits for the others, for a group created here.

    Raises:
        TrainingError: There are fewer GPUs than processes, the backend is unknown, or the
            processes cannot be connected.
    """

    def __init__(
        self,
        compute_setup: str = "cpu",
        dtype: torch.dtype | None = None,
        backend: str = "auto",
        timeout: float = PROCESS_TIMEOUT,
    ) -> None:
        self.device = own_gpu() if use_gpu(compute_setup) else torch.device("cpu")
        self.dtype = dtype
        if not dist.is_initialized():
            join_group(self.device, backend, timeout)
            report_uncaught()
        self.rank = dist.get_rank()
        self.world_size = dist.get_world_size()

    def prepare(
        self, model: nn.Module, optimizer: object, loss_fn: object, shards: bool = False
    ) -> None:
        """Move the parts to the device, and copy the values of the first process to all."""
        if self.sharded is not None:  # all is in place, and equal
            return
        parts = (model, loss_fn, optimizer)
        if self.rank == 0:
            require_values(model)
        left = {p for p in model.parameters() if can_be_sharded(p)} if shards else set[Tensor]()
        missing = self.any(give_memory(model, self.device, left))
        if left:
            move(model, self.device, self.dtype, left)
            move(loss_fn, self.device, self.dtype)
        else:
            super().prepare(model, optimizer, loss_fn)
            if missing:  # after a sharded fit, only the first process has the optimizer's state
                share_states(optimizer, ())
                if isinstance(optimizer, Optimizer):  # which casts its own state to this device
                    optimizer.load_state_dict(optimizer.state_dict())
        every = [p for p in parameters_of(*parts) if p not in left]  # some may be unfrozen later
        broadcast_tensors([*(p.detach() for p in every), *buffers_of(*parts)])

    def shard(self, loader: Loader, even: bool) -> Loader:
        """Return this process's share of a loader, as `shard_loader` does."""
        return shard_loader(loader, self.rank, self.world_size, even, self._draw, self.any)

    def join(self, step_loss: LossFunction, parts: Sequence[object]) -> LossFunction:
        """Return a loss whose gradients are averaged over all processes."""
        if self.sharded is not None:
            return ShardedLoss(step_loss, self.sharded, buffers_of(*parts), parts[1])
        return JointLoss(step_loss, TrainedParameters(parts), buffers_of(*parts))

    def align(self, *modules: object) -> None:
        """Copy the buffers of the first process to all processes."""
        broadcast_tensors(buffers_of(*modules))

    def any(self, flag: bool) -> bool:
        """Whether the flag is true in any process."""
        found = torch.tensor(int(flag), device=self._scalars)
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return bool(found.item())

    def totals(self, counts: Sequence[Count]) -> list[Count]:
        """Return the sum of each count over all processes; on a GPU as tensors, not read."""
        own = [torch.as_tensor(c, dtype=torch.float64, device=self._scalars) for c in counts]
        totals = torch.stack(own).detach()
        dist.all_reduce(totals)
        return totals.tolist() if totals.device.type == "cpu" else list(totals.unbind())

    def gather(self, value: Value) -> list[Value]:
        """Return the value of each process, by rank, with tensors on the CPU."""
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, data_to_device(value, "cpu"))
        return values

    def broadcast(self, value: Value, src: int = 0) -> Value:
        """Return the value of process ``src`` in all processes."""
        holder = [value]
        dist.broadcast_object_list(holder, src=src)
        return holder[0]

    def _draw(self, generator: torch.Generator | None) -> int:
        """Draw a number in every process, and return the first process's number in all."""
        drawn = torch.randint(_LARGEST, (), generator=generator).to(self._scalars)
        dist.broadcast(drawn, src=0)
        return int(drawn.item())

    @property
    def _scalars(self) -> torch.device:
        """The device on which single numbers are exchanged: NCCL supports only GPUs."""
        return self.device if dist.get_backend() == "nccl" else torch.device("cpu")


def several_processes() -> bool:
    """Whether this is one of several processes that were started to work together.

    Raises:
        TrainingError: Some of a launcher's environment variables are missing or invalid.
    """
    return (connected_processes() or launched_processes()) > 1


def require_gpus(processes: int) -> None:
    """Check that this machine has a GPU for each process.

    Raises:
        TrainingError: There are fewer.
    """
    gpus = torch.cuda.device_count()
    if processes > gpus:
        raise TrainingError(
            f"{processes} processes, but this machine has {gpus} GPU{'s' * (gpus != 1)}: each "
            f'needs one of its own. Use nprocs={gpus}, or compute_setup="cpu"; under Slurm, give '
            "each task its own with --gpus-per-task=1."
        )


def own_gpu() -> torch.device:
    """Choose the GPU of this process, for torch too.

    Raises:
        TrainingError: There are fewer GPUs than processes on this machine.
    """
    if has_gpus_of_its_own(os.environ):
        device = torch.device("cuda", 0)
    else:
        require_gpus(int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device
