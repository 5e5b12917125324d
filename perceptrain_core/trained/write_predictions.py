"""Write predictions to a table, part by part."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from perceptrain_core.data.tables.columns import pyarrow_module
from perceptrain_core.errors import DataError
from perceptrain_core.inference.columns_file import Columns, write_csv, write_csv_file
from perceptrain_core.inference.predictions import Predictions


def write_predictions(parts: Iterable[Predictions], path: Path | None = None) -> int:
    """Write predictions, and return the number of rows.

    Args:
        parts: The predictions of successive rows.
        path: ``.csv`` or ``.parquet``; CSV to stdout by default. A file is written only when all
            rows are predicted.

    Raises:
        DataError: The file is to have another format, or cannot be written.
        MissingDependencyError: The format needs a package that is not installed.
    """
    columns = (part.columns() for part in parts)
    if path is None:
        return write_csv(sys.stdout, columns)
    writers = {".csv": write_csv_file, ".parquet": _write_parquet}
    if path.suffix.lower() not in writers:
        raise DataError(f"{path}: predictions are written as .csv or .parquet.")
    partial = path.with_name(f".{path.name}.partial")
    try:
        rows = writers[path.suffix.lower()](partial, columns)
        partial.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return rows


def _write_parquet(path: Path, parts: Iterable[Columns]) -> int:
    arrow, parquet = pyarrow_module("pyarrow"), pyarrow_module("pyarrow.parquet")
    rows, writer = 0, None
    with ExitStack() as stack:
        for part in parts:
            table: Any = arrow.table(part)
            if writer is None:
                writer = stack.enter_context(parquet.ParquetWriter(path, table.schema))
            writer.write_table(table)
            rows += table.num_rows
    return rows
