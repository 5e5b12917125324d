"""Files that may come from anybody: only regular ones of a plausible size are opened."""

from __future__ import annotations

import stat
from pathlib import Path


def is_special(path: Path) -> bool:
    """Whether a path is a pipe or a device, which may block when opened, or never end.

    A folder is not: opening it raises an error.
    """
    if not path.exists():
        return False
    mode = path.stat().st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def reason_to_refuse(path: Path, largest: int) -> str | None:
    """Return why a file must not be read, as the end of a sentence; ``None`` if it may be.

    Args:
        path: The file. If it does not exist, opening it raises the error.
        largest: The largest number of bytes that an honest file has.
    """
    if is_special(path):
        return "is not a regular file"
    if path.is_file() and path.stat().st_size > largest:
        return f"has {path.stat().st_size} bytes; expected at most {largest}"
    return None
