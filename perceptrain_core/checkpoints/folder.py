"""The checkpoints in a run folder: their names, the newest one, and rotation."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from perceptrain_core.checkpoints.folder_swap import own_name
from perceptrain_core.checkpoints.kinds import Read, exists, read_checkpoint, remove, twin
from perceptrain_core.config import TrainConfig
from perceptrain_core.config.run_folder import RunFolder, named_folder
from perceptrain_core.errors import CheckpointError
from perceptrain_core.user_warnings import warn_user

BEST = "checkpoint_best.pt"
#: The names of run folders that the settings do not name: a number, or the time.
_OF_A_RUN = re.compile(r"run-\d+|\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?")
#: The files of perceptrain 0.1.0.
_OLDER = re.compile(r"model_.+_ckpt_.+\.pt")
_NUMBERED = re.compile(r"checkpoint_epoch_(\d+)(?:_batch_(\d+))?\.(?:pt|dcp)")


def checkpoint_path(folder: Path, epoch: int, batch: int = 0) -> Path:
    """Return the path of the checkpoint after ``epoch`` epochs and ``batch`` more batches."""
    within = f"_batch_{batch:09d}" if batch else ""
    return folder / f"checkpoint_epoch_{epoch:06d}{within}.pt"


def is_best(path: Path) -> bool:
    """Whether a checkpoint is that of the best validation, of either kind."""
    return own_name(path) in (BEST, twin(Path(BEST)).name)


def best_checkpoint(folder: Path) -> Path:
    """Return the path of the best-only checkpoint in a folder; it need not exist."""
    path = folder / BEST
    found = [each for each in (path, twin(path)) if exists(each)]
    return max(found, key=_time_of, default=path)  # both, if a writer was killed


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
    found = [(_NUMBERED.fullmatch(own_name(path)), path) for path in paths]
    numbered = [(int(match[1]), int(match[2] or 0), path) for match, path in found if match]
    newest_first = [path for _, _, path in sorted(numbered, reverse=True)]
    return newest_first + [path for path in paths if is_best(path)]


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
    numbered = [path for path in list_checkpoints(written.parent) if not is_best(path)]
    for path in numbered[numbered.index(written) + keep :]:
        try:
            remove(path)
        except OSError as error:
            raise CheckpointError(
                f"{written.name} was written, but the old checkpoint {path} cannot be deleted: "
                f"{error.strerror}. Delete it yourself, or set keep_checkpoints=0."
            ) from error


def refuse_older(path: Path) -> None:
    """Refuse a checkpoint of perceptrain 0.1.0, or a folder of them.

    Raises:
        CheckpointError: It is one, or holds one.
    """
    files = [path] if path.is_file() else path.glob("model_*.pt")
    older = sorted(file.name for file in files if _OLDER.fullmatch(file.name))
    if older:
        raise CheckpointError(
            f"{path} is from perceptrain 0.1.0 ({older[-1]}), whose checkpoints this version does "
            "not read. Load the model with that version, save its weights with "
            'torch.save(model.state_dict(), "weights.pt"), and load them here with '
            'model.load_state_dict(torch.load("weights.pt", weights_only=True)).'
        )


def read_newest(folder: Path, read: Read = read_checkpoint) -> tuple[Path, dict[str, Any]] | None:
    """Read the newest checkpoint that can be read.

    Args:
        folder: The folder.
        read: Reads a checkpoint.

    Returns:
        Its path and state, or ``None`` if the folder has no checkpoints.

    Raises:
        CheckpointError: There are checkpoints, but none can be read; or they are from perceptrain
            0.1.0.

    Warns:
        UserWarning: For each damaged checkpoint that is skipped.
    """
    candidates = list_checkpoints(folder)
    if (best := _later_best(candidates, read)) is not None:
        return best
    for path in candidates:
        try:
            return path, read(path)
        except CheckpointError as error:
            warn_user(f"{error} Trying the one before it.")
    if candidates:
        raise CheckpointError(
            f"None of the {len(candidates)} checkpoints in {folder} can be read: "
            "restore one from a copy, or start a new run in another folder."
        )
    refuse_older(folder)
    return None


def _later_best(newest_first: list[Path], read: Read) -> tuple[Path, dict[str, Any]] | None:
    """Read the best checkpoint, if its epoch is later than that of every other checkpoint."""
    if len(newest_first) < 2 or not is_best(newest_first[-1]):
        return None
    match = _NUMBERED.fullmatch(own_name(newest_first[0]))
    with suppress(CheckpointError):  # reported later, with the others
        state = read(newest_first[-1])
        if match and state.get("epoch", 0) > int(match[1]):
            return newest_first[-1], state
    return None


def base_folder(config: TrainConfig) -> Path:
    """Return the folder that the settings name; runs are in it or in its subfolders."""
    return config.root_folder / named_folder(config.log_folder)


def newest_run_folder(config: TrainConfig) -> Path:
    """Return the folder that a resume continues: the one with the newest checkpoint.

    Settings that were used for a run show its folder, and continue that run if it has checkpoints.
    """
    if isinstance(config.log_folder, RunFolder) and list_checkpoints(config.log_folder):
        return Path(config.log_folder)
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
