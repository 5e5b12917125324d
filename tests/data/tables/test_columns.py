"""Columns from tables in memory, against what pandas holds."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow
import pytest

from perceptrain_core.data.tables.columns import (
    as_numbers,
    as_text,
    check_names,
    columns_of,
    is_gap,
    pyarrow_module,
)
from perceptrain_core.errors import DataError, MissingDependencyError

FRAME = pd.DataFrame(
    {
        "number": [1, 2.5, None],
        "text": ["a", None, "b"],
        "sure": [True, False, True],
        "maybe": pd.array([True, None, False], dtype="boolean"),
        "whole": pd.array([1, None, 3], dtype="Int64"),
        "kind": pd.Categorical(["u", "v", None]),
        "mixed": [1, "a", 2.0],
        "nothing": [None, None, None],
    }
)
EXPECTED: dict[str, list[object]] = {
    "number": [1.0, 2.5, None],
    "text": ["a", None, "b"],
    "sure": ["true", "false", "true"],
    "maybe": ["true", None, "false"],
    "whole": [1.0, None, 3.0],
    "kind": ["u", "v", None],
    "mixed": ["1", "a", "2"],
    "nothing": [None, None, None],
}


def plain(column: np.ndarray) -> list[object]:
    return [None if value != value else value for value in column.tolist()]


def test_a_frame():
    columns = columns_of(FRAME)
    assert {name: plain(column) for name, column in columns.items()} == EXPECTED
    assert {column.dtype for column in columns.values()} == {np.dtype(float), np.dtype(object)}


@pytest.mark.parametrize("wrap", [lambda table: table, lambda table: _Stream(table)])
def test_an_arrow_table(wrap):
    names = [name for name in EXPECTED if name != "mixed"]
    table = pyarrow.table({name: EXPECTED[name] for name in names})
    table = table.set_column(2, "sure", pyarrow.array([True, False, True]))
    columns = columns_of(wrap(table))
    assert {name: plain(column) for name, column in columns.items()} == {
        name: EXPECTED[name] for name in names
    }


class _Stream:
    """A table of another package, as polars has them."""

    def __init__(self, table: pyarrow.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def test_arrays_and_lists():
    columns = columns_of(
        {"x": np.arange(8.0).reshape(2, 2, 2), "flags": [[True], [False]], "n": [Decimal("1.5"), 2]}
    )
    assert list(columns) == ["x[0]", "x[1]", "x[2]", "x[3]", "flags[0]", "n"]
    assert columns["x[3]"].tolist() == [3, 7]
    assert columns["flags[0]"].tolist() == [1, 0]
    assert columns["n"].tolist() == [1.5, 2]


def test_dates_are_text():
    for data in (
        {"d": np.array(["2020-01-02", "NaT"], "M8[D]")},
        {"d": [datetime(2020, 1, 2), None]},
    ):
        first, second = columns_of(data)["d"]
        assert first.startswith("2020-01-02")
        assert second is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, 2], "Expected a table .* not list"),
        (
            FRAME["text"],
            r"not Series. Keep it a table: df\[\['text'\]\] for a column, df.iloc\[\[0",
        ),
        (FRAME.iloc[0], r"not Series. Keep it a table: df\[\['NAME'\]\] for a column"),
        (pyarrow.chunked_array([[1]]), "Expected a table .* not ChunkedArray"),
        ({"a": [1], "b": [1, 2]}, "differ in length: {'a': 1, 'b': 2}"),
        ({"a": [1j]}, "Column 'a' holds complex128; expected numbers or text"),
        ({"a": np.array([b"x", None], dtype=object)}, "Column 'a' holds bytes"),
        ({"a": np.array([b"x"])}, "Column 'a' holds"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "there are several columns 'a'"),
        (pyarrow.table([[1], [2]], names=["a", "a"]), "there are several columns 'a'"),
        (pyarrow.table({"a": [[1, 2]]}), "Column 'a' holds ndarray"),
    ],
)
def test_what_is_no_table(data, message):
    with pytest.raises(DataError, match=message):
        columns_of(data)


def test_integers_beyond_floats_stay_exact():
    columns = columns_of(pyarrow.table({"id": [2**53 + 1, 1]}))
    assert columns["id"].tolist() == ["9007199254740993", "1"]


def test_text_and_numbers():
    assert as_text(np.array([2.0, 0.5, np.nan, -3.0, 2.0])).tolist() == [
        "2",
        "0.5",
        None,
        "-3",
        "2",
    ]
    texts = np.array(["1e3", None, " 2 "], dtype=object)
    np.testing.assert_array_equal(as_numbers(texts, "x"), [1000, np.nan, 2])
    assert is_gap(texts).tolist() == [False, True, False]
    with pytest.raises(DataError, match=r"column 'x': 'b' in row 12; expected a number"):
        as_numbers(np.array(["1", "b"], dtype=object), "x", first_row=10)


def test_a_wrong_name_is_guessed():
    with pytest.raises(DataError, match="no column 'hight'; did you mean 'height'"):
        check_names(["hight"], ["height", "age"])
    with pytest.raises(DataError, match=r"no column 'zzz'; the columns are c0, .*c9 and 90 more\."):
        check_names(["zzz"], [f"c{i}" for i in range(100)])


def test_without_pyarrow(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "perceptrain-core\[tables\]"'):
        pyarrow_module("pyarrow")
