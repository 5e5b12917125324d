"""Parquet and Feather files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from perceptrain_core.data.tables.columns import Columns, columns_of_arrow, pyarrow_module


class ParquetTable:
    """A Parquet file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._file = pyarrow_module("pyarrow.parquet").ParquetFile(path)
        self.names: list[str] = list(self._file.schema_arrow.names)

    def chunks(self, names: Sequence[str], rows: int, text: Collection[str]) -> Iterator[Columns]:
        """Yield the columns of at most ``rows`` rows at a time."""
        for batch in self._file.iter_batches(batch_size=rows, columns=list(names)):
            yield columns_of_arrow(batch.select(list(names)), text)


class FeatherTable:
    """A Feather file, which is an Arrow file; or an Arrow stream.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as batches:
            self.names: list[str] = list(batches.schema.names)

    def chunks(self, names: Sequence[str], rows: int, text: Collection[str]) -> Iterator[Columns]:
        """Yield the columns of a batch of the file at a time."""
        with self._open() as reader:
            count = getattr(reader, "num_record_batches", None)
            batches = reader if count is None else map(reader.get_batch, range(count))
            for batch in batches:
                yield columns_of_arrow(batch.select(list(names)), text)

    def _open(self) -> Any:
        ipc, pyarrow = pyarrow_module("pyarrow.ipc"), pyarrow_module("pyarrow")
        with self._path.open("rb") as file:
            stream = file.read(6) != b"ARROW1"
        source = pyarrow.OSFile(str(self._path))
        return ipc.open_stream(source) if stream else ipc.open_file(source)
