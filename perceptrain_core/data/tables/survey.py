"""What a table holds: the kind of each column, and whether a label is a class or a number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from perceptrain_core.data.tables.columns import Column, Columns, as_text, check_names, is_gap
from perceptrain_core.data.tables.revealing import is_copy, what_reveals
from perceptrain_core.data.tables.text_checks import check_categories, find_fault
from perceptrain_core.errors import DataError

_FEW_CLASSES = 20
_ROWS_PER_CLASS = 5
_ID = re.compile(r"(^|[\W_])(id|ids|uuid|guid|index|idx|key|nr|no|row)$", re.IGNORECASE)
_CAMEL_ID = re.compile(r"[a-z](Id|ID|Nr|No)$")
_MOSTLY_MISSING = 0.95


@dataclass(frozen=True)
class ColumnSurvey:
    """What a column holds.

    Attributes:
        name: Its name.
        what: What it holds, in a few words, such as ``"numbers from 0 to 9"``.
        gaps: The number of missing values.
        refused: Why it should not be an input; ``None`` if it can be one.
        reveals: How it alone determines a label, which new rows may not have; ``None`` if it does
            not.
        few: Whether its numbers are few different whole ones, as codes of categories are.
    """

    name: str
    what: str
    gaps: int
    refused: str | None = None
    reveals: str | None = None
    few: bool = False


@dataclass(frozen=True)
class TableSurvey:
    """What a table holds, with a decision about its labels.

    Attributes:
        labels: The names of the labels.
        task: What is learned.
        classes: The number of rows of each class, by name; empty for regression.
        rows: The number of rows whose labels are known.
        dropped: The number of other rows.
        inputs: The other columns.
        binary: The labels that are 0 or 1 in all rows, if there are several labels.
    """

    labels: tuple[str, ...]
    task: Literal["classes", "numbers"]
    classes: dict[str, int]
    rows: int
    dropped: int
    inputs: tuple[ColumnSurvey, ...]
    binary: tuple[str, ...] = ()

    @property
    def hint(self) -> str:
        """What the labels may be instead of numbers, and the loss for it; or an empty string."""
        if len(self.labels) < 2 or not self.binary:
            return ""
        if len(self.binary) == len(self.labels):
            return (
                'Each label is 0 or 1. For an answer of yes or no to each, set name = "bce_with_'
                'logits" in [loss], and leave out scale_labels, rmse and r2.'
            )
        if len(self.labels) > 2 or len(self.binary) > 1:
            return ""
        (event,) = self.binary
        (time,) = (name for name in self.labels if name != event)
        return (
            f"{event!r} is 0 or 1. If it says whether an event happened, and {time!r} when, use a "
            f'loss of survival analysis, such as cox, with labels = ["{event}", "{time}"], and '
            "leave out scale_labels, rmse and r2."
        )

    @property
    def used(self) -> tuple[ColumnSurvey, ...]:
        """The columns that can be inputs."""
        return tuple(column for column in self.inputs if column.refused is None)

    @property
    def left_out(self) -> tuple[ColumnSurvey, ...]:
        """The columns that should not be inputs."""
        return tuple(column for column in self.inputs if column.refused is not None)


def survey_table(
    columns: Columns, labels: Sequence[str], classes: bool | None = None
) -> TableSurvey:
    """Look at the columns of a table, and decide what is learned.

    A text label is a class, and so is a label of at most 20 different whole numbers that repeat.

    Args:
        columns: The columns.
        labels: The names of the label columns.
        classes: Whether the label is a class; decided by its values by default.

    Raises:
        DataError: A label does not exist or cannot be learned, or no column can be an input.
    """
    check_names(labels, columns)
    gap = np.logical_or.reduce([is_gap(columns[name]) for name in labels])
    if gap.all():
        raise DataError(f"no row has a value of {', '.join(labels)}: name another label.")
    known = {name: column[~gap] for name, column in columns.items()}
    if classes is None:
        classes = len(labels) == 1 and _are_classes(known[labels[0]])
    counts = _class_counts(known, labels) if classes else {}
    if not classes:
        _check_numbers(known, labels)
    found = [survey_column(name, column) for name, column in known.items() if name not in labels]
    found = [_compared(c, known, labels, bool(counts)) for c in found]
    if all(column.refused for column in found):
        reasons = "; ".join(f"{column.name!r} {column.refused}" for column in found[:5])
        raise DataError(f"no column can be an input: {reasons or 'there are only labels'}.")
    return TableSurvey(
        tuple(labels),
        "classes" if classes else "numbers",
        counts,
        int((~gap).sum()),
        int(gap.sum()),
        tuple(found),
        tuple(n for n in labels if len(labels) > 1 and np.isin(known[n], (0, 1)).all()),
    )


def survey_column(name: str, column: Column) -> ColumnSurvey:
    """Describe a column, and say whether it can be an input."""
    gap = is_gap(column)
    gaps, present = int(gap.sum()), column[~gap]
    if not len(present):
        return ColumnSurvey(name, "no values", gaps, "has no values")
    survey = _text(name, column) if column.dtype == object else _numbers(name, present)
    if survey.refused is None and gaps > _MOSTLY_MISSING * len(column):
        survey = replace(survey, refused=f"is missing in {gaps} of {len(column)} rows")
    return replace(survey, gaps=gaps)


def _numbers(name: str, present: Column) -> ColumnSurvey:
    low, high = present.min(), present.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        return ColumnSurvey(name, "numbers, some infinite", 0, "has infinite values: correct them")
    what = f"numbers from {low:.6g} to {high:.6g}"
    if low == high:
        return ColumnSurvey(name, f"the number {low:.6g}", 0, "is constant")
    if len(present) <= _FEW_CLASSES or (present != np.round(present)).any():
        return ColumnSurvey(name, what, 0)
    if (np.diff(present) == 1).all():
        return ColumnSurvey(name, what, 0, "numbers the rows")
    distinct = len(np.unique(present))
    if _is_id(name) and distinct > _FEW_CLASSES:
        return ColumnSurvey(name, what, 0, "is an id")
    few = 2 < distinct <= min(_FEW_CLASSES, len(present) // _ROWS_PER_CLASS)
    return ColumnSurvey(name, what, 0, few=few)


def _text(name: str, column: Column) -> ColumnSurvey:
    found = sorted({text for text in column if text is not None})
    if len(found) == 1:
        return ColumnSurvey(name, f"the text {found[0]!r:.30}", 0, "is constant")
    fault = find_fault(column, "input")
    if fault is not None:
        return ColumnSurvey(name, f"{len(found)} different texts", 0, fault.reason)
    listed = ", ".join(text[:20] for text in found[:3])
    more = ", ..." if len(found) > 3 else ""
    return ColumnSurvey(name, f"{len(found)} categories ({listed}{more})", 0)


def _is_id(name: str) -> bool:
    return bool(_ID.search(name) or _CAMEL_ID.search(name))


def _are_classes(label: Column) -> bool:
    if label.dtype == object:
        return True
    distinct = np.unique(label)
    whole = bool((distinct == np.round(distinct)).all())
    few = len(distinct) == 2 or len(distinct) * _ROWS_PER_CLASS <= len(label)
    return whole and few and len(distinct) <= _FEW_CLASSES


def _class_counts(columns: Columns, labels: Sequence[str]) -> dict[str, int]:
    if len(labels) != 1:
        raise DataError(f"classes need a single label, not {', '.join(labels)}.")
    column = columns[labels[0]]
    if column.dtype == object:
        check_categories(column, labels[0], "label")
    values, counts = np.unique(column, return_counts=True)
    if len(values) < 2:
        raise DataError(f"the label {labels[0]!r} is always {values[0]}: name another one.")
    return dict(zip(as_text(values).tolist(), counts.tolist(), strict=True))


def _check_numbers(columns: Columns, labels: Sequence[str]) -> None:
    for name in labels:
        column = columns[name]
        if column.dtype == object:
            advice = "name one label" if len(labels) > 1 else "leave out --numbers"
            raise DataError(f"the label {name!r} is text, such as {column[0]!r}: {advice}.")
        if not np.isfinite(column).all():
            raise DataError(f"the label {name!r} has infinite values: correct them.")
        if column.min() == column.max():
            value = f"{column[0]:g}"
            raise DataError(f"the label {name!r} is always {value}: name another one.")


def _compared(
    survey: ColumnSurvey, columns: Columns, labels: Sequence[str], classes: bool
) -> ColumnSurvey:
    """Refuse a column that is a copy of a label, and say if it determines one."""
    if survey.refused is not None:
        return survey
    column = columns[survey.name]
    for label in labels:
        if is_copy(column, columns[label], classes):
            return replace(survey, refused=f"says the same as the label {label!r}")
        if reveals := what_reveals(column, columns[label], classes):
            return replace(survey, reveals=reveals)
    return survey
