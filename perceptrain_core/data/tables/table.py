"""A table with labels: which columns play which part, and what becomes of missing values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from perceptrain_core.data.tables.choice import choose_columns
from perceptrain_core.data.tables.columns import Column, Columns, as_numbers, as_text, is_gap
from perceptrain_core.data.tables.encode import ClassName, encode, numbered_classes
from perceptrain_core.data.tables.read import column_names, read_columns
from perceptrain_core.data.tables.text_checks import check_categories
from perceptrain_core.errors import DataError
from perceptrain_core.plurals import counted

_LISTED = 10


@dataclass(frozen=True)
class TableOptions:
    """Which columns of a file are used, and how.

    Attributes:
        labels: The label columns; names or patterns.
        inputs: The input columns, see `choose_columns`; all others by default.
        classes: Whether the label is a class; by default, a single column of text is.
        weights: The column of sample weights, if there is one.
        group: The column with the group of each row, if there is one.
        missing: What to do with rows in which an input is missing: ``"drop"`` the row, or
            ``"fill"`` the value. By default they are an error.
        separator: What separates the values of a CSV file; found out by default.
        categorical: Input columns whose values are categories, even if they are numbers; names or
            patterns.
    """

    labels: Sequence[str]
    inputs: Sequence[str] | None = None
    classes: bool | None = None
    weights: str | None = None
    group: str | None = None
    missing: Literal["drop", "fill"] | None = None
    separator: str | None = None
    categorical: Sequence[str] | None = None


@dataclass(frozen=True)
class Table:
    """The rows of a file that can be used.

    Attributes:
        columns: The columns of the inputs and labels.
        inputs: The names of the inputs.
        labels: The names of the labels.
        categories: The categories of each input column that has some.
        classes: The classes in the order of their numbers, text or numbers as in the data; ``None``
            if the labels are no classes.
        weights: A weight for each row, float32, if there are any.
        groups: The number of each row's group, if there are groups.
        notes: What was done about missing values, a sentence each.
    """

    columns: Columns
    inputs: list[str]
    labels: list[str]
    categories: dict[str, tuple[str, ...]]
    classes: tuple[ClassName, ...] | None
    weights: Tensor | None
    groups: Tensor | None
    notes: list[str]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.columns[self.labels[0]])

    @property
    def class_numbers(self) -> Tensor | None:
        """The class of each row, int64; ``None`` for numbers."""
        if self.classes is None:
            return None
        codes = encode(self.columns[self.labels[0]], self.classes, self.labels[0], "class")
        return torch.from_numpy(codes.astype(np.int64))


def read_table(path: Path, options: TableOptions) -> Table:
    """Read a file, and leave out the rows that cannot be used.

    Args:
        path: See `read_columns`.
        options: Which columns are used, and how.

    Raises:
        DataError: The file or a column cannot be used, or a value is missing and ``missing`` does
            not say what to do.
        MissingDependencyError: The format needs a package that is not installed.
    """
    known = column_names(path, options.separator)
    labels = choose_columns(known, options.labels)
    others = [name for name in (options.weights, options.group) if name is not None]
    inputs = choose_columns(known, options.inputs, [*labels, *others])
    if both := [name for name in inputs if name in labels]:
        raise DataError(f"column {both[0]!r} is both an input and a label: leave one out.")
    declared = _categorical(known, inputs, options.categorical)
    columns = read_columns(path, [*inputs, *labels, *others], options.separator, declared)
    return _table(columns, inputs, labels, declared, options)


def _categorical(known: list[str], inputs: list[str], patterns: Sequence[str] | None) -> list[str]:
    """Return the columns that are declared as categories."""
    if patterns is None:
        return []
    chosen = choose_columns(known, patterns, [name for name in known if name not in inputs])
    for name in chosen:
        if name not in inputs:
            raise DataError(
                f"categorical names the column {name!r}, which is not an input: leave it out."
            )
    return chosen


def _table(
    columns: Columns,
    inputs: list[str],
    labels: list[str],
    declared: list[str],
    options: TableOptions,
) -> Table:
    for name in inputs:
        if is_gap(columns[name]).all():
            raise DataError(f'column {name!r} has no values: leave it out with "!{name}".')
    notes = _drop_rows(columns, inputs, options.missing)
    weights = options.weights and _weights(columns[options.weights], options.weights)
    groups = options.group and _numbered(columns[options.group])
    texts = {name: columns[name] for name in inputs if columns[name].dtype == object}
    return Table(
        columns,
        inputs,
        labels,
        {n: check_categories(column, n, "input", n in declared) for n, column in texts.items()},
        _classes(columns, labels, options.classes),
        weights if isinstance(weights, Tensor) else None,
        groups if isinstance(groups, Tensor) else None,
        notes,
    )


def _drop_rows(columns: Columns, inputs: list[str], missing: str | None) -> list[str]:
    """Drop rows in place, and say which; labels, weights and groups are never filled."""
    found = {name: is_gap(column) for name, column in columns.items()}
    gaps = {name: gap for name, gap in found.items() if gap.any()}
    if not gaps:
        return []
    if missing is None:
        raise DataError(_describe(gaps))
    filled = {name: gaps[name] for name in inputs if name in gaps} if missing == "fill" else {}
    notes = [f"Filled {_counts(filled)}."] if filled else []
    dropping = {name: gap for name, gap in gaps.items() if name not in filled}
    if dropping:
        dropped = np.logical_or.reduce(list(dropping.values()))
        if dropped.all():
            raise DataError(
                f"no row is complete: {_counts(dropping)} are missing. Set missing = 'fill', or "
                "leave such columns out."
            )
        for name in columns:
            columns[name] = columns[name][~dropped]
        notes.append(
            f"Dropped {dropped.sum()} of {len(dropped)} rows, with {_counts(dropping)} missing."
        )
    return notes


def _describe(gaps: dict[str, NDArray[np.bool_]]) -> str:
    parts = [
        f"column {name!r} has {counted(gap.sum(), 'missing value')} of {len(gap)}, first in row "
        f"{gap.argmax() + 1}"
        for name, gap in list(gaps.items())[:_LISTED]
    ]
    more = f", and {len(gaps) - _LISTED} more columns" if len(gaps) > _LISTED else ""
    return (
        f'{"; ".join(parts)}{more}. Set missing = "drop" in [data] to leave such rows out, or '
        '"fill" to fill inputs with the median or the most frequent category.'
    )


def _counts(gaps: dict[str, NDArray[np.bool_]]) -> str:
    parts = [
        f"{counted(gap.sum(), 'value')} of {name!r}" for name, gap in list(gaps.items())[:_LISTED]
    ]
    more = f" and of {len(gaps) - _LISTED} more columns" if len(gaps) > _LISTED else ""
    return f"{', '.join(parts)}{more}"


def _classes(
    columns: Columns, labels: list[str], classes: bool | None
) -> tuple[ClassName, ...] | None:
    column = columns[labels[0]]
    if classes is None:
        classes = len(labels) == 1 and column.dtype == object
    if not classes:
        return None
    if len(labels) != 1:
        raise DataError(f"classes need a single label column, not {', '.join(labels)}.")
    if column.dtype == object:
        return check_categories(column, labels[0], "label")
    return numbered_classes(column)


def _weights(column: Column, name: str) -> Tensor:
    weights = as_numbers(column, name)
    with np.errstate(over="ignore"):  # too large for float32: infinite, and found here
        weights = weights.astype(np.float32)
    wrong = ~np.isfinite(weights) | (weights < 0)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"column {name!r}: the weight in row {row + 1} is {weights[row]:g}; expected a finite "
            "number, at least 0."
        )
    return torch.from_numpy(weights)


def _numbered(column: Column) -> Tensor:
    _, numbers = np.unique(as_text(column).astype(str), return_inverse=True)
    return torch.from_numpy(numbers.astype(np.int64))
