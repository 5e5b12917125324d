"""Devices and processes for a custom training loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from perceptrain_core.data.dict_loader import DictDataLoader
from perceptrain_core.engine.choice import make_engine
from perceptrain_core.engine.distributed import require_gpus
from perceptrain_core.engine.local import use_gpu
from perceptrain_core.engine.process_group import PROCESS_TIMEOUT
from perceptrain_core.engine.protocol import Engine
from perceptrain_core.errors import TrainingError
from perceptrain_core.option_checks import choice_faults, number_faults, refuse
from perceptrain_core.parameters import parameters_of

Value = TypeVar("Value")
Parameters = ParamSpec("Parameters")


class Accelerator:
    """Devices and processes for a custom training loop; the trainer needs no Accelerator. ::

        accelerator = Accelerator(nprocs=2)

        @accelerator.distribute
        def train(model, optimizer, loader):
            model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
            for batch in loader:
                batch = accelerator.prepare_batch(batch)
                ...
            return model.state_dict()

    Args:
        nprocs: Processes that `distribute` starts. Under ``torchrun`` leave it at 1.
        compute_setup: ``"cpu"``; ``"gpu"``, one per process; or ``"auto"``.
        log_setup: ``"cpu"`` or ``"auto"``: whether `all_reduce_dict` returns its tensors on
            the CPU or on the device.
        backend: The backend of ``torch.distributed``; ``"auto"`` is NCCL for GPUs, Gloo for CPUs.
        dtype: For models and floating point data; ``None`` keeps theirs.
        process_timeout: Seconds that a process waits for the others.

    Raises:
        ConfigError: An argument is invalid.
    """

    def __init__(
        self,
        nprocs: int = 1,
        compute_setup: str = "auto",
        log_setup: str = "cpu",
        backend: str = "gloo",
        dtype: torch.dtype | None = None,
        process_timeout: float = PROCESS_TIMEOUT,
    ) -> None:
        faults = number_faults({"nprocs": nprocs}, whole=True, at_least=1)
        faults += choice_faults({"compute_setup": compute_setup}, ("cpu", "gpu", "auto"))
        faults += choice_faults({"log_setup": log_setup}, ("cpu", "auto"))
        faults += number_faults({"process_timeout": process_timeout}, above=0)
        refuse("Accelerator", faults)
        self.nprocs = nprocs
        self.compute_setup = compute_setup
        self.log_setup = log_setup
        self.backend = backend
        self.dtype = dtype
        self.process_timeout = process_timeout
        self._engine: Engine | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the engine: each process creates its own."""
        return {**vars(self), "_engine": None}

    @property
    def engine(self) -> Engine:
        """The engine of this process.

        Raises:
            TrainingError: The device or backend is not available.
        """
        if self._engine is None:
            self._engine = make_engine(
                self.compute_setup, self.dtype, self.backend, self.process_timeout
            )
        return self._engine

    @property
    def rank(self) -> int:
        """The rank of this process, counted from 0."""
        return self.engine.rank

    @property
    def world_size(self) -> int:
        """The number of processes."""
        return self.engine.world_size

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return self.engine.device

    def prepare(self, *objects: Any) -> Any:
        """Prepare models, optimizers and loaders for this process.

        Args:
            objects: A model is moved to the device, and wrapped in ``DistributedDataParallel`` if
                there are several processes. The state of an optimizer is moved too. A loader is
                replaced by this process's share. Anything else is returned unchanged.

        Returns:
            The objects to use, in the same order; a tuple, unless there is only one object.
        """
        optimizers = [each for each in objects if isinstance(each, Optimizer)]
        models = [each for each in objects if isinstance(each, nn.Module)]
        for model in models:
            own = set(model.parameters())
            mine = [o for o in optimizers if own.intersection(parameters_of(o))]
            self.engine.prepare(model, mine[0] if mine else None, None)
        prepared = tuple(self._prepared(each) for each in objects)
        return prepared[0] if len(prepared) == 1 else prepared

    def _prepared(self, item: Any) -> Any:
        if isinstance(item, DataLoader | DictDataLoader):
            return self.engine.shard(item, even=True)
        if not isinstance(item, nn.Module) or self.world_size == 1:
            return item
        trained = any(parameter.requires_grad for parameter in item.parameters())
        return DistributedDataParallel(item) if trained else item

    def prepare_batch(self, batch: Any) -> Any:
        """Move a batch to the device, and its floating point tensors to the dtype."""
        return self.engine.place(batch)

    def all_reduce_dict(self, values: dict[str, Any], count: float = 1.0) -> dict[str, Tensor]:
        """Average scalars over all processes.

        Args:
            values: 0-dim tensors or numbers, by name; the same names in all processes.
            count: What the values of this process are means over, such as the rows of its batch;
                by default, all processes count equally.

        Returns:
            0-dim tensors, detached.

        Raises:
            TrainingError: The names differ, or the counts of all processes add up to 0.
        """
        own = {name: torch.as_tensor(value).item() for name, value in values.items()}
        gathered = self.engine.gather((own, count))
        if any(each.keys() != own.keys() for each, _ in gathered):
            names = "; ".join(", ".join(each) or "none" for each, _ in gathered)
            raise TrainingError(
                f"The processes have values with different names; expected the same: {names}."
            )
        device = "cpu" if self.log_setup == "cpu" else self.device
        total = sum(count for _, count in gathered)
        if not total:
            raise TrainingError("count=0 in all processes: values that are means over nothing.")
        means = {name: sum(each[name] * n for each, n in gathered) / total for name in own}
        return {name: torch.tensor(mean, device=device) for name, mean in means.items()}

    def broadcast(self, value: Value, src: int = 0) -> Value:
        """Return the value of one process in all of them.

        Args:
            value: A tensor, or anything that can be pickled.
            src: The rank of the process.

        Raises:
            TrainingError: ``src`` is not the rank of a process.
        """
        if not 0 <= src < self.world_size:
            raise TrainingError(
                f"src={src}, but there are {self.world_size} processes, counted from 0."
            )
        return self.engine.place(self.engine.gather(value)[src])  # type: ignore[no-any-return]

    def distribute(self, function: Callable[Parameters, Value]) -> Callable[Parameters, Value]:
        """Return a function that runs in ``nprocs`` processes when called; usable as a decorator.

        Each process gets a copy of the arguments. With ``nprocs=1``, or inside one of several
        processes that already run, the function is called directly.

        Returns:
            A function that returns the result of the first process, and raises an error if any
            process raises one.
        """

        @wraps(function)
        def distributed(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Value:
            if self.nprocs == 1 or self.world_size > 1:
                return function(*args, **kwargs)
            # Slow to import, and few programs need it.
            from perceptrain_core.engine.launch import run_in_processes

            if use_gpu(self.compute_setup):
                require_gpus(self.nprocs)
            return run_in_processes(lambda: function(*args, **kwargs), self.nprocs)

        return distributed
