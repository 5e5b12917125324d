"""Temporary names for checkpoints being written, and clean-up after killed writers."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_TEMPORARY = re.compile(r"\.checkpoint_\w+\.pt\.(\d{1,9})")


#: What threads of this process are writing now.
_in_use: set[Path] = set()


def begin_writing(path: Path) -> Path:
    """Return the temporary name under which this process writes a file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    _in_use.add(temporary)
    return temporary


def end_of_writing(temporary: Path) -> None:
    """Declare that a file of `begin_writing` was renamed or deleted."""
    _in_use.discard(temporary)


def clear_leftovers(folder: Path) -> None:
    """Delete unfinished checkpoints whose writer process has ended."""
    for path in folder.iterdir():
        match = _TEMPORARY.fullmatch(path.name)
        if match and path not in _in_use and not _is_alive(int(match[1])):
            with suppress(OSError):
                path.unlink()


def _is_alive(process: int) -> bool:
    """Whether another process with this id is alive; it need not be the writer."""
    if process == os.getpid() or os.name != "posix":
        return False  # Windows does not delete a file that is being written
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user
        pass
    return True
