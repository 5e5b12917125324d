"""Write and read checkpoint files: writes are atomic, and reading runs no code."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from perceptrain_core.checkpoints.temporary import (
    begin_writing,
    clear_leftovers,
    end_of_writing,
)
from perceptrain_core.errors import CheckpointError
from perceptrain_core.regular_file import is_special

FORMAT = 1


def write_file(path: Path, state: dict[str, Any]) -> Path:
    """Write a state under a temporary name, flush it to the disk, and rename it.

    Args:
        path: The file; its folder is created if it is missing.
        state: Tensors, numbers, strings, and lists, tuples and dicts of them.

    Raises:
        CheckpointError: The file cannot be written (full disk, no permission), or the state could
            not be loaded again; then an existing file is kept.
    """
    temporary = begin_writing(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(path.parent)
        save_synced(temporary, plain({"format": FORMAT, **state}))
        os.replace(temporary, path)
        sync_folder(path.parent)
    except Exception as error:
        raise not_written(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        end_of_writing(temporary)
    return path


def save_synced(path: Path, content: Any) -> None:
    """Save plain values and tensors, flush them to the disk, and check that they can be read.

    Raises:
        Exception: Of any kind; `not_written` turns it into an error for the user.
    """
    with path.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    _check_readable(path)


def not_written(path: Path, error: BaseException) -> CheckpointError:
    """Return the error for a checkpoint that could not be written."""
    return CheckpointError(
        f"The checkpoint {path} could not be written: {first_cause(error)}. "
        "Earlier checkpoints are unchanged. Check the folder and the space on its disk."
    )


def read_file(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a state; nothing in the file is executed.

    Raises:
        CheckpointError: The file does not exist, cannot be read, is damaged, or is not a
            checkpoint.
    """
    return as_checkpoint(path, read_any(path, map_location))


def as_checkpoint(path: Path, content: Any) -> dict[str, Any]:
    """Return what was read from a file, if it is a checkpoint.

    Raises:
        CheckpointError: It is not.
    """
    if is_weights(content):
        raise CheckpointError(
            f"{path} holds the weights of a model alone, and no run: load them with "
            "load_model(path, model)."
        )
    if not isinstance(content, dict) or "format" not in content:
        raise CheckpointError(
            f"{path} is not a checkpoint of Perceptrain: name one that a run or "
            "write_checkpoint wrote."
        )
    if content["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has the format {content['format']!r:.60}; this version reads format {FORMAT}. "
            "Use the version of Perceptrain that wrote it."
        )
    if not isinstance(content.get("epoch", 0), int):
        raise CheckpointError(
            f"{path} is damaged: its epoch is {content['epoch']!r:.60}. Use another checkpoint."
        )
    for part in ("model", "averaged_model", "evaluated_model"):
        weights = content.get(part, {})
        if not isinstance(weights, dict) or not all(isinstance(key, str) for key in weights):
            raise CheckpointError(
                f"{path} is damaged: its {part} does not hold weights by name. "
                "Load another checkpoint."
            )
    return content


def is_weights(state: Any) -> bool:
    """Whether a file holds a plain ``state_dict`` of a model, such as ``model.pt`` of a run."""
    return (
        isinstance(state, dict)
        and bool(state)
        and all(isinstance(key, str) and torch.is_tensor(value) for key, value in state.items())
    )


def read_any(path: Path, map_location: Any = "cpu") -> Any:
    """Read a checkpoint or another file of ``torch.save``; nothing in the file is executed.

    Raises:
        CheckpointError: The file does not exist, cannot be read, or is damaged.
    """
    if is_special(path):
        raise CheckpointError(
            f"{path} is not a regular file, so it is not a checkpoint: name a file."
        )
    try:
        path.open("rb").close()
    except FileNotFoundError:
        raise CheckpointError(
            f"There is no checkpoint at {str(path)!r}: correct the path."
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        with path.open("rb") as file:
            return load_stream(file, path.stat().st_size, map_location)
    except Exception as error:
        raise damaged(path, error) from error


def load_stream(file: BinaryIO, size: int, map_location: Any = "cpu") -> Any:
    """Load what ``torch.save`` wrote, with its checksums; nothing in it is executed.

    Args:
        file: The stream, from its start to its end.
        size: Its number of bytes.
        map_location: As for ``torch.load``.

    Raises:
        Exception: Of any kind; `damaged` turns it into an error for the user.
    """
    _refuse_compressed(file, size)
    file.seek(0)
    with warnings.catch_warnings():  # the error that follows says more
        warnings.filterwarnings("ignore", "Detected pickle protocol")
        state = torch.load(file, map_location=map_location, weights_only=True)
    _check_sums(file)
    return state


def damaged(path: Path, error: Exception) -> CheckpointError:
    """Return the error for a file that could not be loaded."""
    reason = _reason(error).rstrip(".")
    return CheckpointError(f"{path} is damaged, or not a checkpoint of Perceptrain: {reason}.")


def plain(value: Any) -> Any:
    """Convert NumPy scalars to Python numbers, which weights_only loading accepts."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is dict:
        return {key: plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(item) for item in value)
    return value


def _check_readable(path: Path) -> None:
    """Raise now if the file could not be loaded later; tensors are mapped, not read."""
    try:
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise CheckpointError(f"it could not be read back, {_reason(error)}") from error


def _refuse_compressed(file: BinaryIO, size: int) -> None:
    """Raise if an archive claims more than it stores: torch never compresses, a bomb does."""
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > size:
            raise zipfile.BadZipFile("its entries are compressed, which torch.save never does")


def _check_sums(file: BinaryIO) -> None:
    """Raise if a checksum is wrong; torch does not verify them."""
    with zipfile.ZipFile(file) as archive:
        if wrong := archive.testzip():
            raise zipfile.BadZipFile(f"{wrong} has the wrong checksum")


def first_cause(error: BaseException) -> BaseException:
    """Return the system error that torch may hide behind its own."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause
        cause = cause.__context__
    return error


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "it is empty"
    if isinstance(error, LookupError):  # of the reader of pickles
        return "it was not written by torch.save"
    lines = str(error).splitlines() or [type(error).__name__]
    if not lines[0].startswith("Weights only load failed"):
        return lines[0]
    # torch's message recommends running the code in the file; the refused name is inside it.
    refused = re.search(r"(?:GLOBAL|class|global) (\S+)", str(error))
    what = f" ({refused[1]})" if refused else ""
    return (
        f"it holds more than tensors, numbers, strings, lists and dicts{what}, "
        "and nothing in it is executed"
    )


def sync_folder(folder: Path) -> None:
    """Make the rename itself survive a loss of power, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
