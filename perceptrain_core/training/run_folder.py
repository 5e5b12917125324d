"""The folder of a run, chosen so that no run overwrites another."""

from __future__ import annotations

from datetime import datetime
from itertools import chain, count
from pathlib import Path

from perceptrain_core.checkpoints.folder import base_folder
from perceptrain_core.checkpoints.kinds import SHARDED
from perceptrain_core.config import TrainConfig


def new_run_folder(config: TrainConfig) -> Path:
    """Choose a folder that no earlier run has used, without creating it."""
    base = base_folder(config)
    if config.create_subfolder_per_run:
        return unused(base / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
    return base if not _used(base) else unused(base / "run", numbered=True)


def _used(folder: Path) -> bool:
    return folder.is_dir() and any(
        # A run that was killed while it wrote its first checkpoint leaves a hidden one.
        (path.is_file() or path.suffix == SHARDED) and not path.name.startswith(".")
        for path in folder.iterdir()
    )


def unused(folder: Path, numbered: bool = False) -> Path:
    """Return a path that does not exist: ``folder``, else ``folder-2``, and so on.

    Args:
        folder: The preferred path.
        numbered: Start with ``folder-2``.
    """
    names = chain(
        [] if numbered else [folder],
        (folder.with_name(f"{folder.name}-{number}") for number in count(2)),
    )
    return next(path for path in names if not path.exists())
