"""Columns of text that are not categories: dates, numbers with other signs, names and ids."""

from __future__ import annotations

import re

from perceptrain_core.data.tables.columns import Column
from perceptrain_core.errors import DataError

_MOST_CATEGORIES = 100
#: With fewer rows than this, all texts of a column may differ by chance.
_FEW = 20
_SAMPLE = 1000
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?([./-])\d\d?\2(\d{4}|\d\d)([T ].*)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}([,.' \u00a0\u202f]\d{3})+([.,]\d+)?")
_INTEGER = re.compile(r"[+-]?\d+")


def check_categories(
    column: Column, name: str, role: str, declared: bool = False
) -> tuple[str, ...]:
    """Return the categories of a column of text in sorted order.

    Args:
        column: Text, or ``None`` where a value is missing.
        name: The name of the column.
        role: ``"input"`` or ``"label"``, which may have any number of classes.
        declared: Whether the user says that these are categories; then only their number counts.

    Raises:
        DataError: The texts are dates, numbers, ids or names, or there are too many.
    """
    present = [text for text in column if text is not None]
    leave_out = f'leave the column out with inputs = ["!{name}"]'
    if role == "label":
        leave_out = "choose another label"
    found = set(present)
    if not declared:
        _check_dates(present[:_SAMPLE], name, leave_out)
        _check_numbers(column, present, name, leave_out)
    if not declared and len(present) > _FEW and len(found) == len(present):
        raise DataError(
            f"column {name!r}: the text in each row is different, such as {present[0]!r}, as in "
            f"names or ids; {leave_out}."
        )
    if role == "input" and len(found) > _MOST_CATEGORIES:
        raise DataError(
            f"column {name!r} has {len(found)} different texts, such as {present[0]!r}; at most "
            f"{_MOST_CATEGORIES} can be categories: {leave_out}, or group them in the file."
        )
    return tuple(sorted(found))


def _check_dates(sample: list[str], name: str, leave_out: str) -> None:
    if sample and all(map(_DATE.fullmatch, sample)):
        raise DataError(
            f"column {name!r} holds dates, such as {sample[0]!r}: replace them with numbers, such "
            f"as the year or the days since the first one, or {leave_out}."
        )


def _check_numbers(column: Column, present: list[str], name: str, leave_out: str) -> None:
    """Refuse a column that holds numbers, but for some rows or the way they are written."""
    sample = present[:_SAMPLE]
    grouped = [text for text in sample if _THOUSANDS.fullmatch(text)]
    if grouped and all(_is_number(text) or _THOUSANDS.fullmatch(text) for text in sample):
        raise DataError(
            f"column {name!r} holds numbers with thousands separators, such as {grouped[0]!r}: "
            "remove the separators."
        )
    if sample and all(map(_INTEGER.fullmatch, sample)):
        longest = max(present, key=len)
        if len(longest) > 15:
            raise DataError(
                f"column {name!r} holds whole numbers beyond 2**53, such as {longest}, which "
                f"floats cannot hold exactly; {leave_out}, or write them as floats, 1.0e18."
            )
    numbers = sum(map(_is_number, sample))
    if 0 < len(sample) <= 2 * numbers:
        row, text = next(
            (row, text)
            for row, text in enumerate(column, start=1)
            if text is not None and not _is_number(text)
        )
        raise DataError(
            f"column {name!r}: {text!r} in row {row} is not a number, but most values are. Correct "
            f"it, leave the value empty, or {leave_out}."
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
