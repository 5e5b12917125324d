"""Whether a step is being captured as a graph, which losses that read values have to know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_capturing = False


class NotCapturable(Exception):
    """A step cannot be captured as a graph; the message says why."""


def is_capturing() -> bool:
    """Whether the loss is being called to record its operations, so that values must not be read.

    ``.item()``, ``float(tensor)`` and branches on values would make constants of them. False except
    while ``TrainConfig(compile=True)`` records a step; the eager steps before it, and those that it
    is compared with, are ordinary calls.
    """
    return _capturing


@contextmanager
def capturing() -> Iterator[None]:
    """Make `is_capturing` true inside a ``with`` block."""
    global _capturing
    before, _capturing = _capturing, True
    try:
        yield
    finally:
        _capturing = before
