"""The length of a loader: known, unknown or infinite."""

from __future__ import annotations

from itertools import count, cycle, repeat
from operator import length_hint
from typing import Any

from perceptrain_core.types import Loader


def is_infinite(loader: Loader | None) -> bool:
    """Whether a loader declares that it never ends, so that one step is one epoch.

    True for a loader, or a data set in it, with a true attribute ``infinite``, and for
    ``itertools.cycle``, ``count`` and endless ``repeat``.
    """
    if getattr(loader, "infinite", False):
        return True
    if getattr(getattr(loader, "dataset", None), "infinite", False):
        return True
    if isinstance(loader, repeat):
        return length_hint(loader, -1) < 0
    return isinstance(loader, (cycle, count))


def length_of(data: Any) -> int | None:
    """Return the length of a loader or data set, or ``None`` if it has none."""
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return None
