"""Temporary names for checkpoints being written, and clean-up after killed writers."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

_TEMPORARY = re.compile(r"\.checkpoint_\w+\.(?:pt|dcp)\.(\d{1,9})")


#: What threads of this process are writing now.
_in_use: set[Path] = set()


def begin_writing(path: Path) -> Path:
    """Return the temporary name under which this process writes a checkpoint."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    _in_use.add(temporary)
    return temporary


def end_of_writing(temporary: Path) -> None:
    """Declare that the name of `begin_writing` is free again."""
    _in_use.discard(temporary)


def clear_leftovers(folder: Path) -> None:
    """Delete unfinished checkpoints whose writer process has ended."""
    for path in folder.iterdir():
        match = _TEMPORARY.fullmatch(path.name)
        if match and path not in _in_use and not _is_alive(int(match[1])):
            delete(path)


def delete(temporary: Path) -> None:
    """Delete a temporary file or folder as far as the system allows."""
    if temporary.is_dir() and not temporary.is_symlink():
        shutil.rmtree(temporary, ignore_errors=True)
        return
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


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
