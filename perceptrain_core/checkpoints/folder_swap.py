"""Replace a folder by a new one, so that a kill at any moment leaves one of them."""

from __future__ import annotations

import os
from pathlib import Path

from perceptrain_core.checkpoints.temporary import delete


def move_into_place(temporary: Path, path: Path) -> None:
    """Rename a finished folder; the folder that had its name is deleted.

    Systems replace files at once, but no folders. Between two renames, the old folder has the name
    that `standing` finds.
    """
    old = _aside(path)
    if path.exists():
        delete(old)  # of a writer that was killed when it had finished
        os.rename(path, old)
    try:
        os.rename(temporary, path)
    except OSError:
        os.rename(old, path)
        raise
    delete(old)


def standing(path: Path) -> Path:
    """Return a path, or where its old folder is if a writer was killed between two renames."""
    old = _aside(path)
    return old if old.exists() and not path.exists() else path


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")
