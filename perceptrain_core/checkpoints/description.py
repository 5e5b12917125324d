"""What is in a checkpoint, without loading the tensors of a sharded one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from torch import Tensor

from perceptrain_core.checkpoints.file import FORMAT, as_checkpoint, is_weights, read_any
from perceptrain_core.checkpoints.folder import list_checkpoints
from perceptrain_core.checkpoints.folder_swap import standing
from perceptrain_core.checkpoints.kinds import is_folder_of_shards
from perceptrain_core.checkpoints.shard_index import read_index
from perceptrain_core.checkpoints.state_tree import is_outline, leaves
from perceptrain_core.errors import CheckpointError


@dataclass(frozen=True)
class SavedTensor:
    """A tensor in a checkpoint.

    Attributes:
        name: The keys that lead to it, as in ``model.0.weight``.
        shape: Its shape.
        dtype: Its dtype, such as ``float32``.
        bytes: The size of its values.
        shards: In how many parts it is saved.
    """

    name: str
    shape: list[int]
    dtype: str
    bytes: int
    shards: int


@dataclass(frozen=True)
class Description:
    """What is in a checkpoint.

    Attributes:
        path: The checkpoint.
        kind: ``"file"``, ``"sharded"``, or ``"weights"`` for a ``state_dict`` alone.
        files: The number of files.
        bytes: The size of all files.
        epoch: The number of complete epochs, if known; likewise the next two.
        batch: The number of batches since then.
        step: The number of optimizer steps.
        metrics: The last row of the history.
        classes: The classes of the model, the optimizer and the loss.
        processes: The number of processes of the run, if it was saved by one.
        versions: The versions that the run used.
        config: The settings of the run, as text where they are not plain values.
        parts: The keys of the state.
        tensors: All tensors.
    """

    path: str
    kind: str
    files: int
    bytes: int
    epoch: int | None
    batch: int | None
    step: int | None
    metrics: dict[str, float]
    classes: dict[str, str]
    processes: int | None
    versions: dict[str, str]
    config: dict[str, Any]
    parts: list[str]
    tensors: list[SavedTensor]

    def size_of(self, part: str) -> tuple[int, int, int]:
        """Return the number of tensors of a part, of their values, and of their bytes."""
        own = [each for each in self.tensors if each.name.startswith(f"{part}.")]
        return len(own), sum(prod(each.shape) for each in own), sum(each.bytes for each in own)


def describe(path: Path) -> Description:
    """Describe a checkpoint, or the newest one in a folder.

    Raises:
        CheckpointError: There is none, or it cannot be read.
    """
    path = _checkpoint(path)
    if is_folder_of_shards(path):
        return _described_folder(standing(path))
    content = read_any(path)
    kind = "weights" if is_weights(content) else "file"
    state = {"model": content} if kind == "weights" else as_checkpoint(path, content)
    tensors = [_tensor(place, leaf) for place, leaf in leaves(state) if isinstance(leaf, Tensor)]
    return _described(path, kind, [path], state, tensors)


def _checkpoint(path: Path) -> Path:
    if not path.is_dir() or is_folder_of_shards(path):
        return path
    found = list_checkpoints(path)
    if not found:
        raise CheckpointError(f"There are no checkpoints in {path}.")
    return found[0]


def _described_folder(path: Path) -> Description:
    index = read_index(path)
    names = iter(index.names)
    tensors = [
        _tensor(place, leaf, len(index.shards[next(names)]) if is_outline(leaf) else 1)
        for place, leaf in leaves(index.state)
        if isinstance(leaf, Tensor)
    ]
    state = as_checkpoint(path, {"format": FORMAT, **index.state})
    return _described(path, "sharded", [*path.iterdir()], state, tensors)


def _described(
    path: Path,
    kind: str,
    files: Sequence[Path],
    state: Mapping[str, Any],
    tensors: list[SavedTensor],
) -> Description:
    history, processes = state.get("history"), state.get("processes")
    return Description(
        path=str(path),
        kind=kind,
        files=len(files),
        bytes=sum(file.stat().st_size for file in files),
        epoch=state.get("epoch"),
        batch=state.get("batch"),
        step=state.get("global_step"),
        metrics=_dict(history[-1]) if isinstance(history, list) and history else {},
        classes=_dict(state.get("classes")),
        processes=len(processes) if isinstance(processes, list) else None,
        versions=_dict(state.get("versions")),
        config=_dict(state.get("config")),
        parts=[str(part) for part in state if part != "format"],
        tensors=tensors,
    )


def _dict(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _tensor(place: tuple[Any, ...], tensor: Tensor, shards: int = 1) -> SavedTensor:
    name, dtype = ".".join(map(str, place)), str(tensor.dtype).removeprefix("torch.")
    return SavedTensor(name, list(tensor.shape), dtype, tensor.numel() * tensor.itemsize, shards)
