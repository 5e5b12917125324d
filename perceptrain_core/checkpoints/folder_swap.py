"""Replace a folder by a new one, so that a kill at any moment leaves one of them."""

from __future__ import annotations

import os
from pathlib import Path

from perceptrain_core.checkpoints.temporary import delete

_OLD = ".old"


def move_into_place(temporary: Path, path: Path) -> None:
    """Rename a finished folder; the folder that had its name is deleted.

    Systems replace files at once, but no folders. Between two renames, the old folder has the name
    that `standing` finds.
    """
    old = aside(path)
    if path.exists():
        delete(old)  # of a writer that was killed when it had finished
        os.rename(path, old)
    try:
        os.rename(temporary, path)
    except OSError:
        if old.exists():
            os.rename(old, path)
        raise
    delete(old)


def standing(path: Path) -> Path:
    """Return a path, or where its old folder is if a writer was killed between two renames."""
    old = aside(path)
    return old if old.exists() and not path.exists() else path


def aside(path: Path) -> Path:
    """Return the path of a folder between two renames."""
    return path.with_name(f".{path.name}{_OLD}")


def own_name(path: Path) -> str:
    """Return the name of a file or folder; of a folder that was left aside, its own name."""
    if not (path.name.startswith(".") and path.name.endswith(_OLD)):
        return path.name
    name = path.name.removeprefix(".").removesuffix(_OLD)
    return path.name if path.with_name(name).exists() else name
