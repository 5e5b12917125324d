"""Warnings that point at the user's line instead of a line of the library."""

from __future__ import annotations

import inspect
import warnings

#: Torch is among them because it calls back, e.g. the closure of an optimizer.
_LIBRARIES = {"perceptrain", "perceptrain_core", "torch"}
#: The packages of plugins start with it, as those of ``perceptrain new-plugin`` do.
_PLUGINS = "perceptrain_"


def warn_user(message: str) -> None:
    """Issue a ``UserWarning`` for the innermost line outside Perceptrain, plugins and torch.

    Args:
        message: What is wrong, what was expected, and what to do.
    """
    # warnings.warn can skip the files of a library itself, but only from Python 3.12.
    frame, level = inspect.currentframe(), 1
    while frame and frame.f_back and _is_library(frame.f_globals):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def _is_library(module: dict[str, object]) -> bool:
    package = str(module.get("__name__")).partition(".")[0]
    return package in _LIBRARIES or package.startswith(_PLUGINS)
