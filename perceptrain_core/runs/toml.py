"""Parse TOML within limits, and say what to write instead of what is not TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from math import isfinite
from typing import Any

from perceptrain_core.errors import ConfigError

_NUMBER = re.compile(r"[+-]?[\d_]*\.?[\d_]*(e[+-]?\d+)?", re.IGNORECASE)
_DOT = re.compile(r"\.(?!\d)|\.\d+\.")  # not that of a number
_PYTHON = {
    "True": "write true",
    "False": "write false",
    "None": "TOML has no None: leave the key out",
}
_LARGEST, _DEEPEST = 2**63, 100
_MOST_DOTS = 10_000
_LONGEST = 100  # of a number; longer ones would take long to match


def parse_toml(text: str, what: str) -> dict[str, Any]:
    """Parse a TOML document.

    Args:
        text: The document.
        what: What it is, for messages.

    Raises:
        TOMLDecodeError: It is not valid TOML.
        ConfigError: It is nested too deeply, or has an integer of more than 64 bits.
    """
    try:
        if len(_DOT.findall(text)) > _MOST_DOTS:  # a long dotted key takes quadratic time
            raise RecursionError
        tables = tomllib.loads(text)
        within = all(_is_within_limits(*item) for item in _walk(tables))
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        within = False
    except ValueError:  # more digits than Python converts to an integer
        within = False
    if not within:
        raise ConfigError(
            f"{what}: arrays or tables are nested more than {_DEEPEST} deep, or an integer has "
            "more than 64 bits, the limit of TOML. Write a large number as a float, such as 1e30."
        )
    return tables


def advice_for_value(value: str) -> str:
    """Return what to write instead of a value that is not TOML; empty if it may be plain text."""
    value = value.strip()
    if value in _PYTHON:
        return _PYTHON[value]
    if len(value) > _LONGEST or not _NUMBER.fullmatch(value):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    if not isfinite(number):
        return ""
    # TOML requires digits on both sides of the point, and no zeros before an integer.
    right = number if set(".eE") & set(value) else int(number)
    return f'write {right!r}, or "{value}" in quotes if it is text'


def advice_for_line(text: str, error: tomllib.TOMLDecodeError) -> str:
    """Return advice on the value in the line that an error names, or an empty string."""
    if "overwrite" in str(error):
        return " The key is there twice: leave one out."
    place = re.search(r"at line (\d+)", str(error))
    if place is None:
        return ""
    line = text.splitlines()[int(place[1]) - 1]
    advice = advice_for_value(line.partition("=")[2].partition("#")[0])
    return f" For this value, {advice}." if advice else ""


def _walk(value: Any) -> Iterator[tuple[int, Any]]:
    """Yield every value inside a document with its depth."""
    stack = [(0, value)]
    while stack:
        depth, item = stack.pop()
        yield depth, item
        if isinstance(item, dict | list):
            inner = item.values() if isinstance(item, dict) else item
            stack.extend((depth + 1, each) for each in inner)


def _is_within_limits(depth: int, value: Any) -> bool:
    whole = value if isinstance(value, int) else 0
    return depth <= _DEEPEST and -_LARGEST <= whole < _LARGEST
