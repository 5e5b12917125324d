"""Read the columns of a file, whole or in chunks."""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from perceptrain_core.data.tables.array_file import Hdf5Table, NpzTable
from perceptrain_core.data.tables.arrow_file import FeatherTable, ParquetTable
from perceptrain_core.data.tables.columns import Column, Columns, check_names
from perceptrain_core.data.tables.csv_file import CsvTable
from perceptrain_core.data.tables.suffixes import TABLE_SUFFIXES, TEXT_SUFFIXES
from perceptrain_core.errors import DataError, PerceptrainError

ROWS = 65536


class Table(Protocol):
    """A file whose columns can be read."""

    names: list[str]

    def chunks(self, names: Sequence[str], rows: int, text: Collection[str]) -> Iterator[Columns]:
        """Yield the columns of about ``rows`` rows at a time; those in ``text`` as text."""


_FORMATS: dict[str, Callable[[Path], Table]] = {
    ".parquet": ParquetTable,
    ".feather": FeatherTable,
    ".arrow": FeatherTable,
    ".npz": NpzTable,
    ".h5": Hdf5Table,
    ".hdf5": Hdf5Table,
}


def read_columns(
    path: Path,
    names: Sequence[str] | None = None,
    separator: str | None = None,
    text: Collection[str] = (),
) -> Columns:
    """Read the columns of a file.

    A column whose values are all numbers becomes float64, with NaN where a value is missing; any
    other becomes text, with ``None`` where one is missing. Integers that float64 cannot hold are
    text, too.

    Args:
        path: ``.csv``, ``.tsv`` or ``.txt`` with a header; ``.parquet``, ``.feather`` or
            ``.arrow``; ``.npz``, ``.h5`` or ``.hdf5``, where an array of shape ``(N, d)`` stands
            for the columns ``name[0]`` to ``name[d-1]``.
        names: The columns to read, in this order; all columns with a name by default.
        separator: What separates the values of a line of text; found out by default.
        text: Columns to read as text, even if they hold numbers.

    Raises:
        DataError: The file is not a regular file, cannot be read, has no rows, or lacks a column.
        MissingDependencyError: The format needs a package that is not installed.
    """
    with _naming(path):
        table = _open(path, separator)
        names = _names(table, names)
        columns, mixed = _collect(table, names, set(text))
        if mixed:
            columns |= _collect(table, mixed, set(mixed))[0]
        if not columns:
            raise DataError("the file has no rows.")
        return {name: columns[name] for name in names}


def iterate_columns(
    path: Path,
    names: Sequence[str] | None = None,
    rows: int = ROWS,
    separator: str | None = None,
    text: Collection[str] = (),
) -> Iterator[Columns]:
    """Read the columns of a file in chunks, as `read_columns` does.

    Only one chunk is in memory (of an NPZ file, also arrays stored by columns). A column without a
    text in a chunk is float64 in this chunk, unless ``text`` names it.

    Args:
        path: See `read_columns`.
        names: See `read_columns`.
        rows: The largest number of rows in a chunk.
        separator: See `read_columns`.
        text: See `read_columns`.

    Raises:
        DataError: See `read_columns`.
        MissingDependencyError: See `read_columns`.
    """
    with _naming(path):
        table = _open(path, separator)
        some = False
        for chunk in table.chunks(_names(table, names), rows, set(text)):
            length = len(next(iter(chunk.values())))
            for start in range(0, length, rows):
                some = True
                yield {name: column[start : start + rows] for name, column in chunk.items()}
        if not some:
            raise DataError("the file has no rows.")


def column_names(path: Path, separator: str | None = None) -> list[str]:
    """Return the names of the columns of a file; those without a name are left out.

    Raises:
        DataError: The file is not a regular file, or cannot be read.
        MissingDependencyError: The format needs a package that is not installed.
    """
    with _naming(path):
        return [name for name in _open(path, separator).names if name]


def _open(path: Path, separator: str | None) -> Table:
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        *others, last = TABLE_SUFFIXES
        raise DataError(f"expected a file named {', '.join(others)} or {last}.")
    # Before it is opened: a pipe would wait for a writer, and a device may never end.
    if not stat.S_ISREG(path.stat().st_mode):
        raise DataError("this is not a file: expected a regular file.")
    if not path.stat().st_size:
        raise DataError("the file is empty.")
    if suffix in TEXT_SUFFIXES:
        return CsvTable(path, separator)
    if separator is not None:
        raise DataError(f"separator is for {', '.join(TEXT_SUFFIXES)}; leave it out.")
    return _FORMATS[suffix](path)


def _names(table: Table, names: Sequence[str] | None) -> list[str]:
    chosen = [name for name in table.names if name] if names is None else list(names)
    if not chosen:
        raise DataError("the file has no columns.")
    check_names(chosen, table.names)
    return list(dict.fromkeys(chosen))


def _collect(
    table: Table, names: Sequence[str], text: Collection[str]
) -> tuple[Columns, list[str]]:
    """Return the columns, and the names of those to read again as text.

    What looked like numbers at first must keep the form it has in the file: "01" is not 1.
    """
    parts = {name: _Growing() for name in names}
    for chunk in table.chunks(names, ROWS, text):
        for name in names:
            parts[name].add(chunk[name])
    mixed = [name for name, part in parts.items() if part.mixed]
    columns = {name: part.values() for name, part in parts.items() if part.rows}
    return columns, mixed


class _Growing:
    """A column to which parts are added, without a second copy of all of them at the end."""

    def __init__(self) -> None:
        self._array: Column | None = None
        self.rows = 0
        self.mixed = False

    def add(self, part: Column) -> None:
        if self._array is None:
            self._array = np.empty(max(ROWS, len(part)), part.dtype)
        self.mixed |= part.dtype != self._array.dtype
        rows = self.rows + len(part)
        if not self.mixed:
            if rows > len(self._array):
                larger = np.empty(2 * rows, part.dtype)
                larger[: self.rows] = self._array[: self.rows]
                self._array = larger
            self._array[self.rows : rows] = part
        self.rows = rows

    def values(self) -> Column:
        array: Column = np.empty(0) if self._array is None else self._array[: self.rows]
        return array


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Raise errors that name the file."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"There is no data file {path}.") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from error.__cause__
    except (PerceptrainError, GeneratorExit):
        raise
    except Exception as error:  # each format has its own errors
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read: {reason:.500}") from error
