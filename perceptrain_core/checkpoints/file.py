"""One checkpoint, one file: written whole or not at all, read without running code."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from perceptrain_core.errors import CheckpointError

FORMAT = 1


def write_file(path: Path, state: dict[str, Any]) -> Path:
    """Write a state under a temporary name, flush it to the disk, and rename it.

    Args:
        path: Where it goes; its folder is made if it is missing.
        state: Tensors, numbers, strings, and lists, tuples and dicts of them.

    Raises:
        CheckpointError: It cannot be written (a full disk, no permission); what was there stays.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise CheckpointError(
            f"The checkpoint {path} could not be written: {error}. "
            "Earlier checkpoints are as they were."
        ) from error
    return path


def read_file(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a state; nothing in the file is executed.

    Raises:
        CheckpointError: There is no such file, it is damaged, or it is something else.
    """
    try:
        state = torch.load(path, map_location=map_location, weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint {path}.") from None
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} is damaged, or not a checkpoint of Perceptrain: {reason}"
        ) from error
    if not isinstance(state, dict) or "format" not in state:
        raise CheckpointError(f"{path} is not a checkpoint of Perceptrain.")
    if state["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has the format {state['format']}; this version reads format {FORMAT}."
        )
    return state


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a loss of power, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
