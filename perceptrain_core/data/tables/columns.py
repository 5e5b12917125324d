"""Columns of a table: numbers, or text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perceptrain_core.data.tables.arrays import array_of, is_missing
from perceptrain_core.errors import DataError, MissingDependencyError
from perceptrain_core.suggestions import nearest

#: One value for each row: float64, NaN where missing; or objects, text or ``None`` where missing.
Column: TypeAlias = NDArray[Any]
Columns: TypeAlias = dict[str, Column]

_NUMBERS = (int, float, Decimal, np.integer, np.floating)
_LISTED = 10


def columns_of(data: Any) -> Columns:
    """Return the columns of a table in memory.

    Numbers become float64, with NaN where they are missing; text, booleans (``"false"`` and
    ``"true"``) and dates become text, with ``None`` where they are missing.

    Args:
        data: A mapping of names to arrays or lists, where an array of shape ``(N, d)`` stands for
            the columns ``name[0]`` to ``name[d-1]``; a pandas DataFrame; or a table of pyarrow,
            polars or another package that exports Arrow streams.

    Raises:
        DataError: The data are not a table, a name occurs twice, or the columns differ in length.
        MissingDependencyError: The table is an Arrow stream, and pyarrow is not installed.
    """
    if isinstance(data, Mapping):
        return columns_of_arrays(data)
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return _columns_of_frame(data)
    table = None
    if hasattr(data, "__arrow_c_stream__"):
        with suppress(TypeError, ValueError):  # a stream of values, as of a series
            table = pyarrow_module("pyarrow").table(data)
    if table is not None:
        return columns_of_arrow(table)
    raise DataError(
        "Expected a table (a DataFrame, a mapping of names to arrays, an Arrow or polars table), "
        f"not {type(data).__name__}.{_series_advice(data)}"
    )


def columns_of_arrays(arrays: Mapping[str, Any]) -> Columns:
    """Return the columns of arrays of shape ``(N,)`` or ``(N, ...)``.

    An array of several dimensions holds numbers: it becomes ``name[0]``, ``name[1]`` and so on.

    Raises:
        DataError: The arrays differ in length, or hold neither numbers nor text.
    """
    columns: Columns = {}
    for name, values in arrays.items():
        array = np.atleast_1d(array_of(values, str(name)))
        if array.ndim == 1:
            columns[str(name)] = column_of(array, str(name))
            continue
        matrix = array.reshape(len(array), -1)
        matrix = matrix.astype(np.uint8) if matrix.dtype.kind == "b" else matrix
        for i, part in enumerate(matrix.T):
            columns[f"{name}[{i}]"] = column_of(part, str(name))
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"The columns differ in length: {lengths}.")
    return columns


def columns_of_arrow(table: Any, text: Collection[str] = ()) -> Columns:
    """Return the columns of a table or a record batch of pyarrow.

    Args:
        table: The table.
        text: Columns to return as text, even if they hold numbers.

    Raises:
        DataError: A name occurs twice, or a column holds neither numbers nor text.
    """
    names = list(table.schema.names)
    check_names([], names, unique=True)
    return {
        name: _column_of_arrow(values, name, name in text)
        for name, values in zip(names, table.columns, strict=True)
    }


def _column_of_arrow(values: Any, name: str, text: bool) -> Column:
    arrow, kinds = pyarrow_module("pyarrow"), pyarrow_module("pyarrow.types")
    kind = values.type
    if kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind):
        try:
            numbers: Column = values.cast("float64").to_numpy(zero_copy_only=False).copy()
            return as_text(numbers) if text else numbers
        except arrow.ArrowInvalid:  # an integer that float64 cannot hold
            values = values.cast("string")
    elif kinds.is_null(kind):
        return np.full(len(values), None if text else np.nan)
    elif kinds.is_dictionary(kind) or kinds.is_temporal(kind) or kinds.is_boolean(kind):
        values = values.cast("string")
    return column_of(values.to_numpy(zero_copy_only=False), name)


def _columns_of_frame(frame: Any) -> Columns:
    names = [str(name) for name in frame.columns]
    check_names([], names, unique=True)
    columns: Columns = {}
    for name, key in zip(names, frame.columns, strict=True):
        series = frame[key]
        if not (isinstance(series.dtype, np.dtype) and series.dtype.kind in "fiubM"):
            series = series.astype(object).where(series.notna(), None)
        columns[name] = column_of(series.to_numpy(), name)
    return columns


def column_of(array: NDArray[Any], name: str) -> Column:
    """Convert an array of shape ``(N,)`` to a column.

    Args:
        array: Numbers, booleans, text, dates, or objects that are these or missing.
        name: The name of the column, for messages.

    Raises:
        DataError: The values are something else.
    """
    kind = array.dtype.kind
    if kind in "fiu":
        return array.astype(np.float64)
    if kind == "b":
        return np.where(array, "true", "false").astype(object)
    if kind == "M":
        dates = array.astype(str).astype(object)
        dates[np.isnat(array)] = None
        return dates
    if kind not in "OU":
        raise DataError(f"Column {name!r} holds {array.dtype}; expected numbers or text.")
    values = [None if is_missing(value) else value for value in array.tolist()]
    present = [value for value in values if value is not None]
    if all(isinstance(value, _NUMBERS) and not isinstance(value, bool) for value in present):
        return np.array([np.nan if value is None else float(value) for value in values])
    column = np.empty(len(values), dtype=object)
    column[:] = [None if value is None else _text(value, name) for value in values]
    return column


def pyarrow_module(name: str) -> Any:
    """Import pyarrow or a module of it.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            'Tables need pyarrow: pip install "perceptrain-core[tables]".'
        ) from error


def as_text(column: Column) -> Column:
    """Return a column as text; whole numbers without a decimal point, so 2.0 becomes ``"2"``."""
    if column.dtype == object:
        return column
    numbers, where = np.unique(column, return_inverse=True)
    texts: Column = np.empty(len(numbers), dtype=object)
    texts[:] = [None if number != number else _text(number, "") for number in numbers.tolist()]
    return texts[where]


def as_numbers(column: Column, name: str, first_row: int = 0) -> NDArray[np.float64]:
    """Return a column as float64, NaN where missing; text is parsed.

    Args:
        column: The column.
        name: Its name, for messages.
        first_row: The number of rows before these, for messages.

    Raises:
        DataError: A text is not a number.
    """
    if column.dtype != object:
        return column
    numbers = np.empty(len(column))
    for row, value in enumerate(column.tolist()):
        try:
            numbers[row] = np.nan if value is None else float(value)
        except ValueError:
            raise DataError(
                f"column {name!r}: {value!r} in row {first_row + row + 1}; expected a number."
            ) from None
    return numbers


def is_gap(column: Column) -> NDArray[np.bool_]:
    """Return for each row whether the value is missing."""
    if column.dtype == object:
        return np.fromiter((value is None for value in column), bool, len(column))
    return np.isnan(column)


def _series_advice(data: Any) -> str:
    if type(data).__name__ != "Series":
        return ""
    name = data.name if isinstance(data.name, str) else "NAME"
    if hasattr(data, "iloc"):
        return f" Keep it a table: df[[{name!r}]] for a column, df.iloc[[0]] for a row."
    return f" Keep it a table: df.select({name!r})."


def check_names(wanted: Iterable[str], known: Iterable[str], unique: bool = False) -> None:
    """Check that the columns that are wanted exist, once each.

    Args:
        wanted: Names.
        known: The names that the table has.
        unique: Check that all other names occur once, too.

    Raises:
        DataError: A name is missing, or occurs twice.
    """
    known = list(known)
    counts = dict.fromkeys(known, 0)
    for name in known:
        counts[name] += 1
    for name in (*wanted, *(known if unique else ())):
        if counts.get(name) == 1:
            continue
        if name in counts:
            raise DataError(f"there are several columns {name!r}: rename them.")
        raise DataError(f"there is no column {name!r}; {_suggestion(name, known)}")


def _suggestion(name: str, known: list[str]) -> str:
    if question := nearest(name, known[:1000]):
        return question
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"the columns are {', '.join(known[:_LISTED]) or 'none'}{more}."


def _text(value: Any, name: str) -> str:
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, np.floating):
        value = value.item()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, bytes | list | tuple | dict | set | np.ndarray | complex):
        raise DataError(f"Column {name!r} holds {type(value).__name__}; expected numbers or text.")
    return str(value)
