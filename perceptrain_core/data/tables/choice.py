"""Which columns of a table are inputs, and which are labels."""

from __future__ import annotations

import re
from collections.abc import Sequence

from perceptrain_core.data.tables.columns import check_names
from perceptrain_core.errors import DataError


def choose_columns(
    known: Sequence[str], patterns: Sequence[str] | None, taken: Sequence[str] = ()
) -> list[str]:
    """Return the names that patterns choose, each once, in the order of the patterns.

    Args:
        known: The names of all columns.
        patterns: Names; names of arrays, for all of their columns ``name[0]``, ``name[1]`` and so
            on; patterns with ``*`` and ``?``; or any of these after ``!``, which excludes columns.
            With exclusions alone, or ``None``, all other columns are chosen.
        taken: Columns that patterns with ``*`` or ``?`` do not choose.

    Raises:
        DataError: A pattern fits no column, or no column is left.
    """
    patterns = list(patterns or ())
    excluded = {
        name for p in patterns if p.startswith("!") for name in _matches(p[1:], known, known)
    }
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")] or ["*"]
    free = [name for name in known if name not in taken]
    found = dict.fromkeys(name for p in wanted for name in _matches(p, known, free))
    chosen = [name for name in found if name not in excluded]
    if not chosen:
        raise DataError(f"no column is left as an input; the columns are {', '.join(known)}.")
    return chosen


def _matches(pattern: str, known: Sequence[str], free: Sequence[str]) -> list[str]:
    if pattern in known:
        return [pattern]
    if parts := [name for name in known if re.fullmatch(rf"{re.escape(pattern)}\[\d+\]", name)]:
        return parts
    if pattern != "*" and not set("*?") & set(pattern):
        check_names([pattern], known)
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    found = [name for name in free if re.fullmatch(expression, name, re.DOTALL)]
    if not found and pattern != "*":
        raise DataError(f"no column fits {pattern!r}; the columns are {', '.join(known[:10])}.")
    return found
