"""States with sharded tensors, as several processes write and read them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from perceptrain.errors import CheckpointError
from perceptrain_core.checkpoints.sharded import read_sharded, write_sharded
from perceptrain_core.checkpoints.writer import CheckpointWriter
from perceptrain_core.random_state import get_random_state

Divide = Callable[[Tensor, int], Any]


def whole_state() -> dict[str, Any]:
    """The state of a model that has taken a step, with the same values in all processes."""
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(1, 6)).sum().backward()
    optimizer.step()
    return {
        "epoch": 4,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": [{"train_loss": 0.1, "val_loss": float("inf")}],
        "processes": [{"random": get_random_state()}],
        "pair": (1, None, "a", [torch.tensor(2.5), True]),
        "half": torch.arange(12.0).reshape(3, 4).to(torch.bfloat16).T,
    }


def divided_state(divide: Divide) -> dict[str, Any]:
    """The same state, whose parameters and optimizer state are divided over the processes."""
    state = whole_state()
    for number, name in enumerate(state["model"]):
        state["model"][name] = divide(state["model"][name], number)
    for number, moments in state["optimizer"]["state"].items():
        for name in ("exp_avg", "exp_avg_sq"):
            moments[name] = divide(moments[name], number)
    return state


def over_all(tensor: Tensor, number: int) -> DTensor:
    """Divide a tensor along its first or last dimension, unevenly, or let all have it."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    placement = (Shard(0), Replicate(), Shard(tensor.dim() - 1), Shard(0))[number % 4]
    return distribute_tensor(tensor, mesh, [placement])


def over_a_grid(tensor: Tensor, number: int) -> DTensor:
    """Divide a tensor over one dimension of a mesh of (2, 2), with copies along the other."""
    mesh = init_device_mesh("cpu", (2, 2))
    return distribute_tensor(tensor, mesh, [Replicate(), Shard(number % tensor.dim())])


@contextmanager
def connected() -> Iterator[None]:
    dist.init_process_group("gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def write(path: Path, divide: Divide) -> None:
    """Write the state in all processes."""
    with connected():
        write_sharded(path, divided_state(divide))


def write_by_format(folder: Path) -> dict[str, str]:
    """Let the writer of a fit choose the kind, and return the names of what it wrote."""
    with connected():
        names = {}
        for kind, background in (("auto", True), ("file", True), ("sharded", False)):
            with CheckpointWriter(background, kind) as writer:
                path = writer.write(folder / f"{kind}.pt", divided_state(over_all))
            names[kind] = path.name
        with CheckpointWriter(True) as writer:
            names["whole"] = writer.write(folder / "whole.pt", whole_state()).name
        return names


def errors_of_a_failing_process(path: Path) -> list[str]:
    """Let the disk of the second process be full, and return what each process raises."""
    with connected(), pytest.MonkeyPatch.context() as patch:

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        if dist.get_rank() == 1:
            patch.setattr(FileSystemWriter, "write_data", full)
        errors = []
        for background in (False, True):
            try:
                with CheckpointWriter(background) as writer:
                    writer.write(path, divided_state(over_all))
            except CheckpointError as error:
                errors.append(str(error))
        found: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(found, errors)
        return [line for lines in found for line in lines]


def error_without_a_shared_disk(folder: Path) -> str:
    """Write to a folder that each process has for itself."""
    with connected():
        own = folder / str(dist.get_rank())
        own.mkdir()
        os.chdir(own)
        try:
            write_sharded(Path("checkpoint_epoch_000001.dcp"), divided_state(over_all))
        except CheckpointError as error:
            return str(error)
        return "no error"


def parts_that_differ(paths: list[Path], divide: Divide) -> list[tuple[int, str]]:
    """Read only the own parts; return the processes and folders where one is wrong."""
    with connected():
        wrong: list[Any] = [None] * dist.get_world_size()
        own = [(dist.get_rank(), path.name) for path in paths if not _reads_own(path, divide)]
        dist.all_gather_object(wrong, own)
        return [line for lines in wrong for line in lines]


def _reads_own(path: Path, divide: Divide) -> bool:
    own = divided_state(divide)
    tensors = [leaf for leaf in _tensors(own) if isinstance(leaf, DTensor)]
    truth = [tensor.to_local().clone() for tensor in tensors]
    for tensor in tensors:
        tensor.to_local().fill_(-1)
    state = read_sharded(path, like={"model": own["model"], "optimizer": own["optimizer"]})
    found = [leaf for leaf in _tensors(state) if isinstance(leaf, DTensor)]
    return len(found) == len(truth) and all(
        one is other and torch.equal(one.to_local(), true)
        for one, other, true in zip(found, tensors, truth, strict=True)
    )


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)
