"""The kinds of checkpoints: one file, or a folder of shards. The suffix says which."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from perceptrain_core.checkpoints.file import read_file
from perceptrain_core.checkpoints.folder_swap import aside, own_name, standing
from perceptrain_core.checkpoints.shard_index import FILE as INDEX
from perceptrain_core.checkpoints.temporary import begin_writing, delete, end_of_writing

ONE_FILE, SHARDED = ".pt", ".dcp"


def is_folder_of_shards(path: Path) -> bool:
    """Whether a path is that of a sharded checkpoint, and not of a folder with checkpoints."""
    return path.suffix == SHARDED or all((path / name).is_file() for name in (".metadata", INDEX))


def exists(path: Path) -> bool:
    """Whether there is a checkpoint at a path."""
    return standing(path).exists()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of either kind, with whole tensors; nothing in it is executed.

    Raises:
        CheckpointError: It does not exist, cannot be read, is damaged, or is not a checkpoint.
    """
    if is_folder_of_shards(path):
        # DCP takes long to import, and few runs need it.
        from perceptrain_core.checkpoints.sharded import read_sharded

        return read_sharded(path)
    return read_file(path)


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
