"""Why a step cannot be captured, with the line of the user's code."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from types import TracebackType

import torch

import perceptrain_core
from perceptrain_core.capturing import NotCapturable

_LIBRARIES = [Path(str(module.__file__)).parent for module in (torch, perceptrain_core)]


def first_line(error: BaseException) -> str:
    """Return the first line of the message of an error."""
    return str(error).partition("\n")[0] or type(error).__name__


def reason_of(error: Exception) -> str:
    """Return why a step cannot be captured, with the line of the user's code, if it is known."""
    text = first_line(error)
    if not isinstance(error, NotCapturable):
        text = f"{type(error).__name__}: {text}"
    names = re.sub(r"\._(?:modules|parameters|buffers)\['(\w+)'\]", r".\1", text)
    return names + users_line(error.__traceback__)


def users_line(trace: TracebackType | None) -> str:
    """Return the innermost line of a traceback outside torch and Perceptrain: ", FILE:LINE"."""
    for frame in reversed(traceback.extract_tb(trace)):
        path = Path(frame.filename)
        if path.exists() and not any(path.is_relative_to(folder) for folder in _LIBRARIES):
            return f" ({path.name}, line {frame.lineno}: {frame.line})"
    return ""
