"""Columns of text that are not categories: dates, numbers with other signs, names and ids."""

from __future__ import annotations

import re
from dataclasses import dataclass

from perceptrain_core.data.tables.columns import Column
from perceptrain_core.errors import DataError

_MOST_CATEGORIES = 100
#: With fewer rows than this, all texts of a column may differ by chance.
_FEW = 20
_SAMPLE = 1000
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?([./-])\d\d?\2(\d{4}|\d\d)([T ].*)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}([,.' \u00a0\u202f]\d{3})+([.,]\d+)?")
#: A number with a currency or a unit before or after it.
_MEASURED = re.compile(
    r"[+-]?(?P<before>[$€£¥₹]|[A-Z]{3})?\s?[+-]?\d[\d,.' \u00a0\u202f]*?\s?"
    r"(?P<after>[$€£¥₹%‰]|[A-Za-zµ°]{1,4}([/²³]\w{0,3})?)?"
)
_INTEGER = re.compile(r"[+-]?\d+")


@dataclass(frozen=True)
class Fault:
    """Why a column of text has no categories.

    Attributes:
        reason: What follows the name of the column.
        advice: What to do, besides another choice of columns.
    """

    reason: str
    advice: str = ""


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
    fault = find_fault(column, role, declared)
    if fault is not None:
        choice = f'leave the column out with inputs = ["!{name}"]'
        advice = [fault.advice, choice if role == "input" else "choose another label"]
        joined = ", or ".join(filter(None, advice))
        raise DataError(f"column {name!r} {fault.reason}: {joined}.")
    return tuple(sorted({text for text in column if text is not None}))


def find_fault(column: Column, role: str, declared: bool = False) -> Fault | None:
    """Return why a column of text has no categories; ``None`` if it has some.

    Args:
        column: See `check_categories`.
        role: See `check_categories`.
        declared: See `check_categories`.
    """
    present = [text for text in column if text is not None]
    found = len(set(present))
    fault = None if declared else _dates(present[:_SAMPLE]) or _numbers(column, present)
    many = found > _MOST_CATEGORIES or (len(present) > _FEW and found == len(present))
    if fault is None and not declared and many:
        fault = _measured(present[:_SAMPLE])
    if fault is None and not declared and len(present) > _FEW and found == len(present):
        fault = Fault(f"has another text in each row, such as {present[0]!r}, as names and ids do")
    if fault is None and role == "input" and found > _MOST_CATEGORIES:
        fault = Fault(
            f"has {found} different texts, such as {present[0]!r}, and at most {_MOST_CATEGORIES} "
            "can be categories",
            "group them in the file",
        )
    return fault


def _dates(sample: list[str]) -> Fault | None:
    if not sample or not all(map(_DATE.fullmatch, sample)):
        return None
    advice = "replace them with numbers, such as the year or the days since the first one"
    return Fault(f"holds dates, such as {sample[0]!r}", advice)


def _measured(sample: list[str]) -> Fault | None:
    """Return the fault of numbers that are all written with one currency or unit."""
    found = [_MEASURED.fullmatch(text) for text in sample]
    signs = {(each["before"], each["after"]) if each else (None, None) for each in found}
    sign = "".join(filter(None, signs.pop())) if len(signs) == 1 else ""
    if not sign:
        return None
    reason = f"holds numbers with {sign!r}, such as {sample[0]!r}"
    return Fault(reason, f"write numbers alone, without {sign!r} and thousands separators")


def _numbers(column: Column, present: list[str]) -> Fault | None:
    """Return the fault of a column of numbers, but for some rows or the way they are written."""
    sample = present[:_SAMPLE]
    grouped = [text for text in sample if _THOUSANDS.fullmatch(text)]
    if grouped and all(_is_number(text) or _THOUSANDS.fullmatch(text) for text in sample):
        reason = f"holds numbers with thousands separators, such as {grouped[0]!r}"
        return Fault(reason, "remove the separators")
    if sample and all(map(_INTEGER.fullmatch, sample)):
        longest = max(present, key=len)
        if len(longest) > 15:
            return Fault(
                f"holds whole numbers beyond 2**53, such as {longest}, which floats cannot hold "
                "exactly",
                "write them as floats, 1.0e18",
            )
    if not 0 < len(sample) <= 2 * sum(map(_is_number, sample)):
        return None
    row, text = next(
        (row, text)
        for row, text in enumerate(column, start=1)
        if text is not None and not _is_number(text)
    )
    return Fault(
        f"holds numbers, but {text!r} in row {row} is not one", "correct it, leave the value empty"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
