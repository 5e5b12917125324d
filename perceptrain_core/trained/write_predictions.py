"""Write predictions to a table, part by part."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from perceptrain_core.data.tables.columns import Columns, pyarrow_module
from perceptrain_core.errors import DataError
from perceptrain_core.inference.columns_file import write_csv, write_csv_file
from perceptrain_core.inference.predictions import Predictions


def write_predictions(
    parts: Iterable[Predictions], path: Path | None = None, kept: Columns | None = None
) -> int:
    """Write predictions, and return the number of rows.

    Args:
        parts: The predictions of successive rows.
        path: ``.csv`` or ``.parquet``; CSV to stdout by default. A file is written only when all
            rows are predicted.
        kept: Columns of all rows to write before the predictions, if there are any. With a label
            among them, predictions are named ``prediction[LABEL]``.

    Raises:
        DataError: The file is to have another format, or cannot be written; or a column has the
            name of a column of the predictions.
        MissingDependencyError: The format needs a package that is not installed.
    """
    tables = _tables(parts, kept or {})
    if path is None:
        return write_csv(sys.stdout, tables)
    writers = {".csv": write_csv_file, ".parquet": _write_parquet}
    if path.suffix.lower() not in writers:
        raise DataError(f"{path}: predictions are tables: name a file .csv or .parquet.")
    partial = path.with_name(f".{path.name}.partial")
    try:
        rows = writers[path.suffix.lower()](partial, tables)
        partial.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return rows


def _tables(parts: Iterable[Predictions], kept: Columns) -> Iterator[Columns]:
    """Yield the columns of successive rows."""
    start = 0
    for part in parts:
        found = part.columns()
        if kept.keys() & found.keys():
            found = part.columns(beside_labels=True)
        if both := [name for name in kept if name in found]:
            raise DataError(
                f"The column {both[0]!r} cannot be kept, because a column of the predictions has "
                "this name: rename it in the data."
            )
        rows = slice(start, start + len(part))
        yield {name: column[rows] for name, column in kept.items()} | found
        start += len(part)


def _write_parquet(path: Path, tables: Iterable[Columns]) -> int:
    arrow, parquet = pyarrow_module("pyarrow"), pyarrow_module("pyarrow.parquet")
    rows, writer = 0, None
    with ExitStack() as stack:
        for columns in tables:
            # A part may have no text at all, and then it would be a column without a type.
            types = {name: arrow.string() for name, c in columns.items() if c.dtype == object}
            arrays = {name: arrow.array(c, types.get(name)) for name, c in columns.items()}
            table: Any = arrow.table(arrays)
            if writer is None:
                writer = stack.enter_context(parquet.ParquetWriter(path, table.schema))
            writer.write_table(table)
            rows += _length(columns)
    return rows


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values())))
