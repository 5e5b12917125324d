"""Missing values in memory, in all forms that NumPy, pandas and Python have for them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from perceptrain_core.data.tables.columns import columns_of
from perceptrain_core.errors import DataError

GAPS = [
    None,
    float("nan"),
    np.float32("nan"),
    Decimal("NaN"),
    Decimal("sNaN"),
    pd.NA,
    pd.NaT,
    np.datetime64("NaT"),
]


def plain(values: object) -> list[object]:
    column = columns_of({"c": values})["c"]
    return [None if value != value else value for value in column.tolist()]


@pytest.mark.parametrize("gap", GAPS, ids=repr)
@pytest.mark.parametrize("wrap", [list, tuple, lambda v: np.array(v, dtype=object)])
@pytest.mark.parametrize("known", ["a", 1, True])
def test_a_gap_among_values(gap, wrap, known):
    found = plain(wrap([known, gap]))
    assert found[0] in ("true", 1.0) if known is True else found[0] == known
    assert found[1] is None


@pytest.mark.parametrize("dtype", ["string", "category", "object"])
def test_a_gap_in_a_series(dtype):
    assert plain(pd.Series(["a", None], dtype=dtype)) == ["a", None]


def test_series_with_masks():
    assert plain(pd.Series([1, None], dtype="Int64")) == [1, None]
    assert plain(pd.Series([True, None], dtype="boolean")) == ["true", None]


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (["a", "b"], "a"),
        ([1, 2], 1.0),
        ([1.5, 2.5], 1.5),
        ([True, False], "true"),
        (np.array(["2020-01-02", "2020-01-03"], "M8[D]"), str(date(2020, 1, 2))),
    ],
)
def test_masked_values_are_missing(values, first):
    array = np.ma.array(values, mask=[False, True])
    assert plain(array) == [first, None]
    assert None not in plain(np.ma.array(values, mask=False))
    assert array.mask.tolist() == [False, True]


def test_a_masked_value_among_texts():
    assert plain(["a", np.ma.masked]) == ["a", None]


def test_gaps_in_rows_of_arrays():
    columns = columns_of({"n": np.ma.array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]])})
    np.testing.assert_array_equal(columns["n[1]"], [np.nan, 4])
    columns = columns_of({"t": [["a", 1], ["b", float("nan")]]})
    assert columns["t[0]"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(columns["t[1]"], [1, np.nan])


def test_the_text_nan_of_an_array_stays_text():
    assert plain(np.array(["a", "nan"])) == ["a", "nan"]


def test_numbers_of_numpy_among_texts():
    assert plain(["a", np.bool_(True), np.float32(2), np.float32(0.5)]) == ["a", "true", "2", "0.5"]


def test_lists_of_different_lengths():
    with pytest.raises(DataError, match="Column 'c' holds lists of different lengths; expected"):
        columns_of({"c": [[1], [2, 3]]})
