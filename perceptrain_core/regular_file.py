"""Files that may come from anybody: nothing but regular ones is opened."""

from __future__ import annotations

import stat
from pathlib import Path


def is_special(path: Path) -> bool:
    """Whether a path is a pipe, a device or a folder: opening one may block, or never end."""
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)
