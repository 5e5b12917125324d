"""Where things are, and what a module that builds pages returns."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent

#: The content of files by their path from the root: text, or the bytes of a picture.
Files = dict[str, str | bytes]
