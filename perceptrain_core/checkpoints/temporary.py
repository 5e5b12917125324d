"""The names under which checkpoints are written, and what is left of writers that were killed."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_TEMPORARY = re.compile(r"\.checkpoint_\w+\.pt\.(\d{1,9})")


def temporary_path(path: Path) -> Path:
    """Give the name under which this process writes a file before it gets its own."""
    return path.with_name(f".{path.name}.{os.getpid()}")


def clear_leftovers(folder: Path) -> None:
    """Delete the unfinished checkpoints of a folder whose writers live no more."""
    for path in folder.iterdir():
        match = _TEMPORARY.fullmatch(path.name)
        if match and not _lives(int(match[1])):
            with suppress(OSError):
                path.unlink()


def _lives(process: int) -> bool:
    """Whether another process of this number lives; it need not be the writer."""
    if process == os.getpid() or os.name != "posix":
        return False  # Windows does not delete a file that is being written
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        pass
    return True
