"""A table of figures for notebooks, without pandas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from perceptrain_core.metrics_file import Row

_MOST = 20  # rows that are shown in full; of a longer table, both ends
_END = 5


def html_table(rows: Sequence[Row], numbered: str) -> str:
    """Return rows as an HTML table with a column for each name.

    Args:
        rows: Figures by name; a row need not have all of them.
        numbered: What the rows are, such as ``"epoch"``; they are numbered from 1. Of more than 20
            rows, the first 5 and the last 5 are shown.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [_line(n, row, names) for n, row in enumerate(rows, 1)]
    if len(lines) > _MOST:
        gap = _cells("td", ["…"] * (len(names) + 1))
        lines = [*lines[:_END], gap, *lines[-_END:]]
    head = _cells("th", [numbered, *names])
    body = "\n".join(lines)
    return f"<table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _line(number: int, row: Row, names: Iterable[str]) -> str:
    figures = (f"{row[name]:.6g}" if name in row else "" for name in names)
    return _cells("td", [str(number), *figures])


def _cells(tag: str, texts: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(text)}</{tag}>' for text in texts)}</tr>"
