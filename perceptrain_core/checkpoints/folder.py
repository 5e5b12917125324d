"""The checkpoints in a run folder: their names, the newest one, and rotation."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from perceptrain_core.checkpoints.file import read_file
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CheckpointError
from perceptrain_core.user_warnings import warn_user

BEST = "checkpoint_best.pt"
#: The names of run folders that the settings do not name: a number, or the time.
_OF_A_RUN = re.compile(r"run-\d+|\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?")
_NUMBERED = re.compile(r"checkpoint_epoch_(\d+)(?:_batch_(\d+))?\.pt")


def checkpoint_path(folder: Path, epoch: int, batch: int = 0) -> Path:
    """Return the path of the checkpoint after ``epoch`` epochs and ``batch`` more batches."""
    within = f"_batch_{batch:09d}" if batch else ""
    return folder / f"checkpoint_epoch_{epoch:06d}{within}.pt"


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, newest first; the best-only checkpoint comes last.

    Raises:
        CheckpointError: The folder exists but cannot be read.
    """
    try:
        paths = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise CheckpointError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    found = [(_NUMBERED.fullmatch(path.name), path) for path in paths]
    numbered = [(int(match[1]), int(match[2] or 0), path) for match, path in found if match]
    newest_first = [path for _, _, path in sorted(numbered, reverse=True)]
    return newest_first + [path for path in paths if path.name == BEST]


def rotate(written: Path, keep: int) -> None:
    """Delete all but the ``keep`` newest numbered checkpoints; 0 keeps all.

    Args:
        written: The checkpoint just written. Later ones stay: the run was resumed before them.
        keep: How many to keep, including this one.

    Raises:
        CheckpointError: An old one cannot be deleted.
    """
    if not keep:
        return
    numbered = [path for path in list_checkpoints(written.parent) if path.name != BEST]
    for path in numbered[numbered.index(written) + keep :]:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"{written.name} was written, but the old checkpoint {path} cannot be deleted: "
                f"{error.strerror}. Delete it yourself, or set keep_checkpoints=0."
            ) from error


def read_newest(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """Read the newest checkpoint that can be read.

    Returns:
        Its path and state, or ``None`` if the folder has no checkpoints.

    Raises:
        CheckpointError: There are checkpoints, but none can be read.

    Warns:
        UserWarning: For each damaged checkpoint that is skipped.
    """
    candidates = list_checkpoints(folder)
    if (best := _later_best(candidates)) is not None:
        return best
    for path in candidates:
        try:
            return path, read_file(path)
        except CheckpointError as error:
            warn_user(f"{error} Trying the one before it.")
    if candidates:
        raise CheckpointError(f"None of the {len(candidates)} checkpoints in {folder} can be read.")
    return None


def _later_best(newest_first: list[Path]) -> tuple[Path, dict[str, Any]] | None:
    """Read the best checkpoint, if its epoch is later than that of every other checkpoint."""
    if len(newest_first) < 2 or newest_first[-1].name != BEST:
        return None
    match = _NUMBERED.fullmatch(newest_first[0].name)
    with suppress(CheckpointError):  # reported later, with the others
        state = read_file(newest_first[-1])
        if match and state.get("epoch", 0) > int(match[1]):
            return newest_first[-1], state
    return None


def base_folder(config: TrainConfig) -> Path:
    """Return the folder that the settings name; runs are in it or in its subfolders."""
    return config.root_folder / config.log_folder


def newest_run_folder(config: TrainConfig) -> Path:
    """Return the folder that a resume continues: the one with the newest checkpoint."""
    base = base_folder(config)
    found = {base: list_checkpoints(base)}
    for folder in (path for path in base.glob("*/") if _OF_A_RUN.fullmatch(path.name)):
        with suppress(CheckpointError):  # not readable, so not a run of this user
            found[folder] = list_checkpoints(folder)
    runs = {folder: max(map(_time_of, paths)) for folder, paths in found.items() if paths}
    return max(runs, key=lambda folder: runs[folder], default=base)


def _time_of(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:  # deleted meanwhile by another run
        return 0.0
