"""Text files with a table: CSV and its relatives."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perceptrain_core.data.tables.columns import Column, Columns, pyarrow_module
from perceptrain_core.data.tables.csv_format import CsvFormat, find_format, not_utf8
from perceptrain_core.errors import DataError
from perceptrain_core.plurals import counted

#: Texts that stand for a missing value.
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None", "?", "-")

_EXACT = 2.0**53
_BLOCK = 1 << 20
_BOOLEANS = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}


class CsvTable:
    """A text file with a header, encoded in UTF-8.

    Args:
        path: The file.
        separator: What separates the values; found out by default.
    """

    def __init__(self, path: Path, separator: str | None) -> None:
        self._csv, self._compute = pyarrow_module("pyarrow.csv"), pyarrow_module("pyarrow.compute")
        self._arrow = pyarrow_module("pyarrow")
        self._path = path
        self._format = find_format(path, separator)
        self.names = self._format.names

    def chunks(self, names: Sequence[str], rows: int, text: Collection[str]) -> Iterator[Columns]:
        """Yield the columns of a block of the file at a time."""
        numbers = {name: str(i) for i, name in enumerate(self.names)}
        places = [numbers[name] for name in names]
        try:
            for batch in self._blocks(places):
                yield {
                    name: self._column(values, name in text)
                    for name, values in zip(names, batch.columns, strict=True)
                }
        except self._arrow.ArrowInvalid as error:
            raise _fault(self._path, self._format, error) from error

    def _blocks(self, places: list[str]) -> Iterator[Any]:
        """Yield the columns as strings, so that the file decides what is a number, not a block."""
        found = self._format
        text = self._arrow.string()
        try:
            yield from self._csv.open_csv(
                self._path,
                read_options=self._csv.ReadOptions(
                    column_names=[str(i) for i in range(len(found.names))],
                    skip_rows=found.header_lines,
                    block_size=max(_BLOCK, 8 * found.longest),
                ),
                parse_options=self._csv.ParseOptions(
                    delimiter=found.separator, newlines_in_values=True
                ),
                convert_options=self._csv.ConvertOptions(
                    column_types=dict.fromkeys(places, text),
                    include_columns=places,
                    null_values=list(MISSING),
                    strings_can_be_null=True,
                ),
            )
        except self._arrow.ArrowInvalid as error:
            # A header without rows is told apart from other faults by the message alone.
            if not re.search("Empty CSV|Could not skip initial", str(error)):
                raise

    def _column(self, values: Any, as_text: bool) -> Column:
        if not as_text:
            numbers = self._numbers(values)
            if numbers is None:  # spaces and signs are rare, and take time
                trimmed = self._trimmed(values)
                numbers = self._numbers(self._compute.replace_substring_regex(trimmed, r"^\+", ""))
            if numbers is not None:
                return numbers
        found = self._trimmed(values).dictionary_encode()
        texts = np.array([*found.dictionary.to_pylist(), None], dtype=object)
        texts = np.array([_BOOLEANS.get(text, text) for text in texts], dtype=object)
        codes = found.indices.fill_null(len(texts) - 1)
        column: Column = texts[codes.to_numpy(zero_copy_only=False)]
        return column

    def _numbers(self, values: Any) -> Column | None:
        """Return float64, or ``None`` if a value is not a number that it holds exactly."""
        if self._format.decimal_comma:
            values = self._without_thousands(values)
            if self._compute.any(self._compute.match_substring(values, ".")).as_py():
                return None
            values = self._compute.replace_substring(values, ",", ".")
        try:
            numbers: Column = values.cast(self._arrow.float64()).to_numpy(zero_copy_only=False)
        except self._arrow.ArrowInvalid:
            return None
        large = np.abs(numbers) >= _EXACT
        if large.any():
            texts = values.filter(self._arrow.array(large))
            if self._compute.any(self._compute.match_substring_regex(texts, r"^-?\d+$")).as_py():
                return None
        return numbers.copy()

    def _without_thousands(self, values: Any) -> Any:
        """Return 1546,80 for 1.546,80, where the comma is the decimal sign."""
        grouped = self._compute.match_substring_regex(values, r"^[+-]?\d{1,3}(\.\d{3})+(,|$)")
        whole = self._compute.replace_substring(values, ".", "")
        return self._compute.if_else(grouped, whole, values)

    def _trimmed(self, values: Any) -> Any:
        trimmed = self._compute.utf8_trim_whitespace(values)
        gaps = self._compute.is_in(trimmed, value_set=self._arrow.array(MISSING))
        return self._compute.if_else(gaps, self._arrow.scalar(None, trimmed.type), trimmed)


def _fault(path: Path, found: CsvFormat, error: Exception) -> DataError:
    """Return what is wrong with a file; the reader counts no lines, so it is read again."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=found.separator)
            for row in filter(None, reader):
                if len(row) != len(found.names):
                    return DataError(
                        f"line {reader.line_num}: expected {counted(len(found.names), 'value')}, "
                        f"as in the header, not {len(row)}."
                    )
    except UnicodeDecodeError:
        return not_utf8()
    except csv.Error as fault:
        return DataError(f"line {reader.line_num}: {fault}.")
    return DataError(" ".join(str(error).split())[:500])
