"""Convert checkpoints: from a folder of shards to one file, and back, or to weights alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from perceptrain_core.checkpoints.file import not_written, save_synced, write_file
from perceptrain_core.checkpoints.kinds import ONE_FILE, SHARDED, exists
from perceptrain_core.checkpoints.saveload import find_checkpoint, find_weights
from perceptrain_core.checkpoints.temporary import begin_writing, delete, end_of_writing
from perceptrain_core.errors import CheckpointError


def convert(path: Path, to: Path, weights: bool = False) -> None:
    """Write the content of a checkpoint as one file or as a folder of shards.

    Args:
        path: The checkpoint, or a folder, whose newest readable one is converted.
        to: Where to write: a file ``*.pt``, or a folder ``*.dcp``.
        weights: Write the ``state_dict`` of the model alone, as ``load_model`` would load it; to a
            file.

    Raises:
        CheckpointError: The checkpoint cannot be read, ``to`` exists already or does not say which
            kind it is, or it cannot be written.
    """
    expected = (ONE_FILE,) if weights else (ONE_FILE, SHARDED)
    if to.suffix not in expected:
        raise CheckpointError(
            f"{to} does not end in {' or '.join(expected)}: {ONE_FILE} is one file"
            + ("." if weights else f", {SHARDED} a folder of shards.")
        )
    if exists(to):
        raise CheckpointError(f"{to} exists already: delete it, or name another.")
    if weights:
        _write_weights(to, find_weights(path)[1]["model"])
        return
    state = find_checkpoint(path)[1]
    del state["format"]  # each kind adds its own
    if to.suffix == ONE_FILE:
        write_file(to, state)
        return
    # DCP takes long to import, and few commands need it.
    from perceptrain_core.checkpoints.sharded import write_sharded

    write_sharded(to, state)


def _write_weights(to: Path, weights: dict[str, Any]) -> None:
    temporary = begin_writing(to)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        save_synced(temporary, weights)
        os.replace(temporary, to)
    except Exception as error:
        raise not_written(to, error) from error
    finally:
        delete(temporary)
        end_of_writing(temporary)
