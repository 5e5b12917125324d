"""Something that a notebook shows, and that changes in place.

IPython is asked for only where it runs: it is no dependency.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rich.console import Console


def in_notebook() -> bool:
    """Say whether this runs in a notebook, where more than text can be shown."""
    return Console().is_jupyter


class NotebookOutput:
    """One output below the cell, replaced each time."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, **data: Any) -> None:
        """Show this in place of what was there.

        Args:
            data: The same thing in one or several forms: ``text``, ``html``, ``png``.
        """
        display = import_module("IPython.display").display
        bundle = {_TYPES[form]: value for form, value in data.items()}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


_TYPES = {"text": "text/plain", "html": "text/html", "png": "image/png"}
