"""Notebook output that is updated in place.

IPython is imported only inside a notebook; it is not a dependency.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rich.console import Console


def in_notebook(console: Console | None = None) -> bool:
    """Return whether this runs in a notebook that can display rich output.

    Args:
        console: A console of rich, if there is one: it knows.
    """
    return (console or Console()).is_jupyter


class NotebookOutput:
    """An output below the cell; each call of `show` replaces it."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, **data: Any) -> None:
        """Replace the output.

        Args:
            data: The same content in one or more formats: ``text``, ``html``, ``png``.
        """
        display = import_module("IPython.display").display
        bundle = {_TYPES[form]: value for form, value in data.items()}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


_TYPES = {"text": "text/plain", "html": "text/html", "png": "image/png"}
