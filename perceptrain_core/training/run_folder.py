"""Where the files of a run go, so that no run overwrites another."""

from __future__ import annotations

from datetime import datetime
from itertools import chain, count
from pathlib import Path

from perceptrain_core.checkpoints.folder import list_checkpoints
from perceptrain_core.config import TrainConfig


def base_folder(config: TrainConfig) -> Path:
    """The folder that the settings name; its runs are in it, or in folders below it."""
    return config.root_folder / config.log_folder


def new_run_folder(config: TrainConfig) -> Path:
    """Choose a folder that no earlier run has used; it is not made yet."""
    base = base_folder(config)
    if config.create_subfolder_per_run:
        return unused(base / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
    return base if not _used(base) else unused(base / "run", numbered=True)


def newest_run_folder(config: TrainConfig) -> Path:
    """Find the run that a resume goes on with: the one with the newest checkpoint."""
    base = base_folder(config)
    runs = [folder for folder in (base, *base.glob("*/")) if list_checkpoints(folder)]
    return max(runs, key=_last_written, default=base)


def _last_written(folder: Path) -> float:
    return max(path.stat().st_mtime for path in list_checkpoints(folder))


def _used(folder: Path) -> bool:
    return folder.is_dir() and any(path.is_file() for path in folder.iterdir())


def unused(folder: Path, numbered: bool = False) -> Path:
    """Give a path that nothing has: ``folder``, else ``folder-2``, and so on.

    Args:
        folder: The path that is wanted.
        numbered: Start with ``folder-2``.
    """
    names = chain(
        [] if numbered else [folder],
        (folder.with_name(f"{folder.name}-{number}") for number in count(2)),
    )
    return next(path for path in names if not path.exists())
