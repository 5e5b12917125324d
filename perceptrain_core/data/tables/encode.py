"""Codes of categories and numbers of classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import nan
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from perceptrain_core.data.tables.columns import Column, as_text
from perceptrain_core.data.tables.unseen import UnseenCategories
from perceptrain_core.errors import DataError

#: A class as the data have it: text, or a number.
ClassName: TypeAlias = str | int | float

_LISTED = 10
#: A program may write whole numbers with a point if a column has gaps, and without if it has none.
_POINT = re.compile(r"(-?\d+)\.0+")
#: How programs write booleans, which a file of the training may have written in another way.
_BOOLEANS = {"true": ("True", "TRUE", "1"), "false": ("False", "FALSE", "0")}


def encode(
    column: Column,
    categories: Sequence[ClassName],
    name: str,
    what: str,
    first_row: int = 0,
    unseen: UnseenCategories | None = None,
    advice: str = "",
) -> NDArray[np.float64]:
    """Return the codes of categories as float64, NaN where a value is missing.

    Args:
        column: The values.
        categories: The categories, in the order of their codes.
        name: The name of the column, for messages.
        what: What the values are, for messages: ``"category"`` or ``"class"``.
        first_row: The number of rows before these, for messages.
        unseen: Counts values that are none of the categories, whose code is -1; by default they
            are an error.
        advice: What to do about them, for the message.

    Raises:
        DataError: A value is none of the categories, and ``unseen`` is not given.
    """
    names = list(map(str, categories))
    numbers: dict[str | None, float] = {_plain(text): i for i, text in enumerate(names)}
    numbers |= {text: i for i, text in enumerate(names)}
    if set(names) <= _BOOLEANS.keys():
        numbers |= {text: i for i, truth in enumerate(names) for text in _BOOLEANS[truth]}
    numbers[None] = nan
    texts = as_text(column)
    codes = np.fromiter((numbers.get(text, -1.0) for text in texts), float, len(texts))
    unknown = codes < 0
    codes[unknown] = [numbers.get(_plain(text), -1.0) for text in texts[unknown]]
    unknown = codes < 0
    if unseen is not None:
        unseen.add(name, texts[unknown])
    elif unknown.any():
        row = int(unknown.argmax())
        more = f" and {len(categories) - _LISTED} more" if len(categories) > _LISTED else ""
        raise DataError(
            f"column {name!r}: {texts[row]!r} in row {first_row + row + 1} is not a known {what}; "
            f"known are {', '.join(names[:_LISTED])}{more}.{advice}"
        )
    return codes


def numbered_classes(column: Column) -> tuple[ClassName, ...]:
    """Return the classes of a label column of numbers in order; integers if all are whole."""
    found: list[float] = np.unique(column).tolist()
    if all(number.is_integer() for number in found):
        return tuple(int(number) for number in found)
    return tuple(found)


def _plain(text: str) -> str:
    found = _POINT.fullmatch(text)
    return found[1] if found else text
