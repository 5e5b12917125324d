"""The kinds of checkpoints: one file, or a folder of shards. The suffix says which."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from perceptrain_core.checkpoints.file import read_file
from perceptrain_core.checkpoints.folder_swap import aside, own_name, standing
from perceptrain_core.checkpoints.shard_index import FILE as INDEX
from perceptrain_core.checkpoints.shard_index import read_index
from perceptrain_core.checkpoints.state_tree import Place, is_outline, replaced
from perceptrain_core.checkpoints.temporary import begin_writing, delete, end_of_writing

ONE_FILE, SHARDED = ".pt", ".dcp"

Read = Callable[[Path], dict[str, Any]]
#: For the place and the outline of a saved tensor, an empty ``DTensor`` into which each process
#: reads its part; ``None`` for a tensor that all processes read whole.
Shares = Callable[[Place, Tensor], Any]


def is_folder_of_shards(path: Path) -> bool:
    """Whether a path is that of a sharded checkpoint, and not of a folder with checkpoints."""
    return path.suffix == SHARDED or all((path / name).is_file() for name in (".metadata", INDEX))


def exists(path: Path) -> bool:
    """Whether there is a checkpoint at a path."""
    return standing(path).exists()


def read_checkpoint(path: Path, shares: Shares | None = None) -> dict[str, Any]:
    """Read a checkpoint of either kind; nothing in it is executed.

    Args:
        path: The checkpoint.
        shares: What to read of a folder of shards; by default all tensors, whole.

    Raises:
        CheckpointError: It does not exist, cannot be read, is damaged, or is not a checkpoint.
    """
    if is_folder_of_shards(path):
        # DCP takes long to import, and few runs need it.
        from perceptrain_core.checkpoints.sharded import read_sharded

        return read_sharded(path, None if shares is None else _shares_in(path, shares))
    return read_file(path)


def _shares_in(path: Path, shares: Shares) -> Any:
    """Return the state of a folder of shards, with a ``DTensor`` for each tensor to be divided."""
    state = read_index(standing(path)).state
    return replaced(state, lambda place, leaf: shares(place, leaf) if is_outline(leaf) else None)


def remove(path: Path) -> None:
    """Delete a checkpoint; a folder has another name before its files are deleted.

    Raises:
        OSError: It cannot be deleted.
    """
    path = path.with_name(own_name(path))
    if path.suffix != SHARDED or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    delete(aside(path))
    if not path.exists():
        return
    doomed = begin_writing(path)
    try:
        os.rename(path, doomed)
        delete(doomed)
    finally:
        end_of_writing(doomed)


def twin(path: Path) -> Path:
    """Return the path of the same checkpoint in the other kind."""
    return path.with_suffix(ONE_FILE if path.suffix == SHARDED else SHARDED)
