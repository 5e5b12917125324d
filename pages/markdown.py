"""Building blocks of pages in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; bars inside cells are escaped."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(value: object) -> str:
    """Return a value as code."""
    return f"`{value}`"


def from_docstring(text: str) -> str:
    """Return the text of a docstring, with its literals and its references to names as code."""
    return re.sub(r"(?<!`)`{1,2}([^`]+)`{1,2}(?!`)", r"`\1`", " ".join(text.split()))


def sentence(text: str) -> str:
    """Return a text that ends with a period."""
    return text if not text or text.endswith(".") else f"{text}."
