"""Names and patterns of columns."""

from __future__ import annotations

import pytest

from perceptrain_core.data.tables.choice import choose_columns
from perceptrain_core.errors import DataError

KNOWN = ["id", "x_1", "x_2", "x[0]", "x[1]", "a.b", "y"]


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (None, ["id", "x_1", "x_2", "x[0]", "x[1]", "a.b"]),
        (["x_2", "id"], ["x_2", "id"]),
        (["x"], ["x[0]", "x[1]"]),
        (["x[1]"], ["x[1]"]),
        (["x_*"], ["x_1", "x_2"]),
        (["x_?", "id", "x_1"], ["x_1", "x_2", "id"]),
        (["!id", "!x"], ["x_1", "x_2", "a.b"]),
        (["*", "!x_*"], ["id", "x[0]", "x[1]", "a.b"]),
        (["*.*"], ["a.b"]),
        (["*", "!y"], ["id", "x_1", "x_2", "x[0]", "x[1]", "a.b"]),
    ],
)
def test_patterns(patterns, chosen):
    assert choose_columns(KNOWN, patterns, ["y"]) == chosen


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["x_3"], "there is no column 'x_3'; did you mean 'x_"),
        (["!idd"], "there is no column 'idd'; did you mean 'id'"),
        (["z*"], r"no column fits 'z\*'; the columns are id"),
        (["id", "!i*"], "no column is left as an input"),
    ],
)
def test_patterns_that_choose_nothing(patterns, message):
    with pytest.raises(DataError, match=message):
        choose_columns(KNOWN, patterns, ["y"])
