"""Find out how a CSV file is written: separator, decimal sign, and the names in its header."""

from __future__ import annotations

import csv
import re
from codecs import getincrementaldecoder
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from perceptrain_core.errors import DataError

_SEPARATORS = (",", ";", "\t", "|")
_SAMPLE = 1 << 16
_LONGEST = 1 << 24
_LINES = 50
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+([eE][+-]?\d+)?")
#: What pandas calls a column without a name.
_UNNAMED = re.compile(r"Unnamed: \d+")


@dataclass(frozen=True)
class CsvFormat:
    """How a CSV file is written.

    Attributes:
        names: The names in the header; empty for a column without a name.
        separator: What separates the values.
        decimal_comma: Whether decimals are written with a comma; points then part thousands.
        header_lines: The number of lines up to the first row.
        longest: The number of characters of the longest row of the sample.
    """

    names: list[str]
    separator: str
    decimal_comma: bool
    header_lines: int
    longest: int


def find_format(path: Path, separator: str | None = None) -> CsvFormat:
    """Find out how a CSV file is written from its first lines.

    Args:
        path: The file.
        separator: The separator, if it is known.

    Raises:
        DataError: The file is not encoded in UTF-8, or has no header.
    """
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        raise DataError(f"separator = {separator!r}: expected one character, such as ';' or a tab.")
    lines = _first_lines(path)
    separator = separator or _separator(lines)
    reader = csv.reader(lines, delimiter=separator)
    header: list[str] = next(filter(None, reader), [])
    if not header:
        raise DataError("the file has only blank lines.")
    header_lines = reader.line_num
    values = [value.strip() for row in reader for value in row]
    names = [name.strip() for name in header]
    names = ["" if _UNNAMED.fullmatch(name) else name for name in names]
    _check_header(names)
    comma = separator == ";" and any(map(_DECIMAL_COMMA.fullmatch, values))
    return CsvFormat(names, separator, comma, header_lines, max(map(len, lines)))


def not_utf8() -> DataError:
    """Return the error for a file in another encoding."""
    return DataError(
        "the file is not encoded in UTF-8, but perhaps in Latin-1, Windows-1252 or UTF-16: save it "
        "as UTF-8, for example with iconv -f latin1 -t utf8 OLD.csv > NEW.csv."
    )


def _first_lines(path: Path) -> list[str]:
    """Return the first lines of the file, at least one, as csv counts them."""
    decoder = getincrementaldecoder("utf-8-sig")()
    text = ""
    with path.open("rb") as file:
        while text.count("\n") < 3 or len(text) < _SAMPLE:
            block = file.read(max(_SAMPLE, len(text)))
            try:
                text += decoder.decode(block, final=not block)
            except UnicodeDecodeError:
                raise not_utf8() from None
            if "\0" in text:
                raise DataError(
                    "the file has zero bytes, so it is not text: save the table as CSV in UTF-8."
                )
            if len(text) > _LONGEST and "\n" not in text:
                raise DataError(
                    f"the first line has more than {_LONGEST} characters; expected the names of "
                    "columns."
                )
            if not block:
                return list(StringIO(text, newline=""))[:_LINES]
    return list(StringIO(text, newline=""))[:-1][:_LINES]


def _separator(lines: list[str]) -> str:
    """Return the character that divides most lines into as many values as the header."""

    def score(separator: str) -> tuple[float, int]:
        try:
            rows = [row for row in csv.reader(lines, delimiter=separator) if row]
        except csv.Error:  # a line without this separator is one value, and may be too long
            return 0.0, 1
        width = len(rows[0]) if rows else 1
        same = sum(len(row) == width for row in rows)
        return (same / len(rows), width) if width > 1 else (0.0, 1)

    return max(_SEPARATORS, key=score)


def _check_header(names: list[str]) -> None:
    """Refuse a first row of numbers, unless they count the columns, as pandas does."""
    numbers = [name for name in names if _NUMBER.fullmatch(name)]
    counted = [name for name in names if name] == [str(i) for i in range(len(numbers))]
    if numbers and not counted and 2 * len(numbers) >= len(names):
        raise DataError(
            f"the first line has numbers, such as {numbers[0]}, where the names of the columns are "
            "expected: add a line with a name for each column."
        )
