"""Sharded checkpoints: folders that all processes write, each its share of the tensors.

``torch.distributed.checkpoint`` (DCP) writes the tensors, and its own tools can read them. Its
metadata are a pickle, which may run code when it is loaded, so they are never read here: the index
of the tensors and all other values are in a file of ``torch.save``, which is read as checkpoint
files are.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.tensor import DTensor, distribute_tensor

from perceptrain_core.checkpoints.file import FORMAT, as_checkpoint, not_written, sync_folder
from perceptrain_core.checkpoints.folder_swap import move_into_place, standing
from perceptrain_core.checkpoints.processes import Processes
from perceptrain_core.checkpoints.shard_index import (
    Shard,
    ShardIndex,
    read_index,
    read_shard,
    write_index,
)
from perceptrain_core.checkpoints.state_tree import (
    Place,
    is_outline,
    leaves,
    replaced,
    shared_names,
    taken_apart,
)
from perceptrain_core.checkpoints.temporary import (
    begin_writing,
    clear_leftovers,
    delete,
    end_of_writing,
)
from perceptrain_core.errors import CheckpointError


def write_sharded(path: Path, state: dict[str, Any], group: Any = None) -> Path:
    """Write a state as a folder; all processes call this, and each writes its share.

    Each process writes its parts of the ``DTensor`` objects, and the first everything else. The
    folder has a temporary name until all have finished; then the first process renames it.

    Args:
        path: The folder, which is replaced if it exists. All processes must see the same disk.
        state: Tensors, ``DTensor`` objects, numbers, strings, and lists, tuples and dicts of them.
            Everything but the ``DTensor`` objects is taken from the first process.
        group: The processes, as a group of ``torch.distributed``; by default all, or this one
            alone if none are connected.

    Raises:
        CheckpointError: The checkpoint cannot be written (full disk, no permission, a process that
            ended), or the state could not be loaded again. All processes raise it, and an existing
            checkpoint is kept.
    """
    temporary = path
    try:
        processes = Processes(group)
        outline, tensors = taken_apart(state)
        names = processes.first(lambda: shared_names(tensors))
        temporary = processes.first(lambda: _begin(path))
        shards = _write_shards(temporary, _own(tensors, names, processes.rank), processes)
        processes.first(lambda: _finish(temporary, path, ShardIndex(outline, names, shards)))
    except Exception as error:
        raise not_written(path, error) from error
    finally:
        if temporary != path:
            delete(temporary)
            end_of_writing(temporary)
    return path


def _begin(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(path.parent)
    return begin_writing(path)


def _own(tensors: dict[str, Tensor], names: list[str], rank: int) -> dict[str, Tensor]:
    """Return the tensors of which this process writes a part."""
    return {
        name: tensors[name]
        for name in dict.fromkeys(names)
        if rank == 0 or isinstance(tensors.get(name), DTensor)
    }


def _write_shards(
    folder: Path, tensors: dict[str, Tensor], processes: Processes
) -> dict[str, list[Shard]]:
    """Write the share of this process, as ``torch.distributed.checkpoint.save`` does.

    That function itself warns if there is a single process, and one that fails leaves the others
    without the reason.

    Returns:
        In the first process, the parts of each tensor; in the others nothing.
    """
    planner = DefaultSavePlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    writer = FileSystemWriter(folder, overwrite=False)
    first = processes.rank == 0

    def plan() -> Any:
        planner.set_up_planner(tensors, writer.storage_meta(), first)
        writer.set_up_storage_writer(first, rank=processes.rank, use_collectives=True)
        return writer.prepare_local_plan(planner.create_local_plan())

    plans = processes.share(plan)
    divided, metadata = planner.create_global_plan(plans)  # the same in all processes
    own = writer.prepare_global_plan(divided)[processes.rank]
    results = processes.share(lambda: writer.write_data(planner.finish_plan(own), planner).value())
    if not first:
        return {}
    writer.finish(metadata, results)
    return {name: _shards_of(name, metadata) for name in metadata.state_dict_metadata}


def _shards_of(name: str, metadata: Metadata) -> list[Shard]:
    shards = []
    for chunk in metadata.state_dict_metadata[name].chunks:  # type: ignore[union-attr]
        stored = metadata.storage_data[MetadataIndex(name, chunk.offsets)]
        where = stored.relative_path, stored.offset, stored.length
        shards.append(Shard(tuple(chunk.offsets), tuple(chunk.sizes), *where))
    return shards


def _finish(temporary: Path, path: Path, index: ShardIndex) -> None:
    """Write the index and rename the folder, in the first process."""
    files = {shard.file for shards in index.shards.values() for shard in shards}
    if missing := sorted(name for name in files if not (temporary / name).exists()):
        raise ValueError(
            f"{missing[0]} of another process is not in the folder of the first, so they do not "
            'see the same disk. Write to a disk that they share, or use checkpoint_format="file"'
        )
    write_index(temporary, index)
    sync_folder(temporary)
    move_into_place(temporary, path)
    sync_folder(path.parent)


def read_sharded(path: Path, like: Any = None) -> dict[str, Any]:
    """Read a state that `write_sharded` wrote; nothing in the folder is executed.

    No other process takes part: each reads on its own, whatever their number was or is.

    Args:
        path: The folder.
        like: A state of the same structure, or of a part of it. Where it holds a ``DTensor``, the
            result has this ``DTensor``, into which only the part of this process is read. All other
            tensors are read whole.

    Returns:
        The state, with whole tensors on the CPU.

    Raises:
        CheckpointError: The folder does not exist, is damaged, or is not a checkpoint; or a
            ``DTensor`` of ``like`` has another shape or dtype than the tensor that was saved.
    """
    folder = standing(path)
    index = read_index(folder)
    wanted = {place: leaf for place, leaf in leaves(like) if isinstance(leaf, DTensor)}
    names = iter(index.names)
    targets: dict[str, Tensor] = {}
    sources: dict[str, str] = {}

    def target(place: Place, leaf: Any) -> Any:
        given = wanted.get(place)
        if given is not None:
            _require_same(path, place, given, leaf)
        if not is_outline(leaf):
            return leaf if given is None else _with_part_of(given, leaf)
        name = next(names)
        key = name if given is None else f"{len(targets)} of {name}"
        if key not in targets:
            targets[key] = torch.empty_like(leaf, device="cpu") if given is None else given
            sources[key] = name
        return targets[key]

    state = replaced(index.state, target)
    _read_into(folder, targets, {key: index.shards[name] for key, name in sources.items()})
    return as_checkpoint(path, {"format": FORMAT, **state})


def _require_same(path: Path, place: Place, given: DTensor, saved: Any) -> None:
    where = ".".join(map(str, place))
    if not isinstance(saved, Tensor):
        raise CheckpointError(f"{path}: {where} is not a tensor, but {type(saved).__name__}.")
    if given.shape != saved.shape or given.dtype != saved.dtype:
        here = f"{given.dtype} of shape {tuple(given.shape)} here"
        there = f"{saved.dtype} of shape {tuple(saved.shape)} saved"
        raise CheckpointError(f"{path}: {where} differs, {here}, {there}.")


def _with_part_of(given: DTensor, whole: Tensor) -> DTensor:
    """Copy the part of this process from a whole tensor, without the other processes."""
    part = distribute_tensor(whole, given.device_mesh, given.placements, src_data_rank=None)
    with torch.no_grad():
        given.to_local().copy_(part.to_local())
    return given


def _read_into(folder: Path, targets: dict[str, Tensor], shards: dict[str, list[Shard]]) -> None:
    """Fill whole tensors, and the own parts of ``DTensor`` objects, from their shards."""
    metadata = Metadata({key: _described(targets[key], shards[key]) for key in targets})
    planner = DefaultLoadPlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    planner.set_up_planner(targets, metadata, is_coordinator=True)
    where = {(key, shard.offsets): shard for key in shards for shard in shards[key]}
    for item in planner.create_local_plan().items:
        key, offset = item.storage_index.fqn, item.storage_index.offset or ()
        part = read_shard(folder, where[key, tuple(offset)], targets[key].dtype)
        for dimension, (start, length) in enumerate(
            zip(item.storage_offsets, item.lengths, strict=True)
        ):
            part = part.narrow(dimension, start, length)
        planner.resolve_tensor(item).detach().copy_(part)


def _described(target: Tensor, shards: Iterable[Shard]) -> TensorStorageMetadata:
    chunks = [
        ChunkStorageMetadata(torch.Size(shard.offsets), torch.Size(shard.sizes))
        for shard in shards
        if all(shard.sizes)
    ]
    return TensorStorageMetadata(TensorProperties(target.dtype), target.shape, chunks)
