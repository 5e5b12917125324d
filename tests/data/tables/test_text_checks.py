"""Text that is categories, and text that is something else."""

from __future__ import annotations

import numpy as np
import pytest

from perceptrain_core.data.tables.text_checks import check_categories
from perceptrain_core.errors import DataError


def check(values: list[str | None], role: str = "input") -> tuple[str, ...]:
    return check_categories(np.array(values, dtype=object), "c", role)


def test_categories_in_sorted_order():
    assert check(["b", None, "a", "b", "true"]) == ("a", "b", "true")
    assert check([f"u{i}" for i in range(20)]) == tuple(sorted(f"u{i}" for i in range(20)))
    assert len(check([f"u{i}" for i in range(100)] * 2)) == 100
    assert len(check([f"u{i}" for i in range(500)] * 2, "label")) == 500
    assert check(["20 mg", "10 mg"] * 30) == ("10 mg", "20 mg")
    assert check(["5%", "10%"] * 30) == ("10%", "5%")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["2020-01-02", None, "2020-1-3 10:00"], "'c' holds dates, such as '2020-01-02': replace"),
        (["1.2.2020", "24.12.99"], "holds dates"),
        (["1/2/2020"], "holds dates"),
        (["1,234", "12"], "'12'|'1,234'"),
        (["1,234", "12,345,678.5"], "numbers with thousands separators, such as '1,234': remove"),
        (["1.234,5"], "thousands separators"),
        (["945", "10,753"], "thousands separators, such as '10,753'"),
        (["9007199254740993", "1"], r"whole numbers beyond 2\*\*53, such as 9007199254740993"),
        (
            [f"${i},000" for i in range(21)],
            r"numbers with '\$', such as '\$0,000': write numbers a",
        ),
        ([f"{i}.5 %" for i in range(21)], "numbers with '%', such as '0.5 %': write numbers alone"),
        ([f"-{i}.000,50 €" for i in range(21)], "holds numbers with '€'"),
        ([f"EUR {i}" for i in range(21)], "holds numbers with 'EUR'"),
        ([f"{i} kg" for i in range(1, 102)] * 2, "holds numbers with 'kg', such as '1 kg'"),
        (["1", "2", "x"], "holds numbers, but 'x' in row 3 is not one: correct"),
        (
            [f"name {i}" for i in range(21)],
            r'another text in each row, .*: leave the column out .*"!c"',
        ),
        (
            [f"u{i}" for i in range(101)] * 2,
            "has 101 different texts, .* at most 100 can be categories: group",
        ),
    ],
)
def test_what_are_no_categories(values, message):
    with pytest.raises(DataError, match=message):
        check(values)


def test_labels_get_other_advice():
    with pytest.raises(DataError, match="as names and ids do: choose another label"):
        check([f"name {i}" for i in range(21)], "label")
    with pytest.raises(DataError, match=r"holds numbers with '\$', .*: write numbers alone, "):
        check([f"${i},000" for i in range(150)] * 2, "label")
    with pytest.raises(DataError, match="as names and ids do"):
        check([f"{i}{'ab'[i % 2]}" for i in range(21)])  # no unit that all of them share
