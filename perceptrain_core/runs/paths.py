"""Paths in a run file: relative in the file, absolute while it is used."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FILE_REFERENCE = re.compile(r"(?P<path>[^:]+\.py):(?P<attribute>[\w.]+)")


def absolute_references(value: Any, folder: Path) -> Any:
    """Make references to Python files absolute, so that they work from any directory."""
    return _with_paths(value, lambda path: str(absolute_path(folder, path)))


def relative_references(value: Any, folder: Path) -> Any:
    """Make references to Python files relative to a folder, so that it can be moved."""
    return _with_paths(value, lambda path: relative_path(Path(path), folder))


def absolute_path(folder: Path, path: str | Path) -> Path:
    """Return a path relative to a folder as an absolute one, without ``..``."""
    return Path(os.path.abspath(folder / Path(path).expanduser()))


def relative_path(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, with ``/``; the path itself if there is none."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return str(path)


def _with_paths(value: Any, convert: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _with_paths(item, convert) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_paths(item, convert) for item in value]
    if isinstance(value, str) and (match := _FILE_REFERENCE.fullmatch(value)):
        return f"{convert(match['path'])}:{match['attribute']}"
    return value
