from __future__ import annotations

from math import inf, log, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceptrain_core.reports.axis import axis_of, number_text, tick_text

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.floats(), max_size=5), st.booleans())
def test_every_finite_value_is_inside(values, log):
    axis = axis_of(values, log=log)
    assert axis.low < axis.high
    shown = [v for v in values if abs(v) < 1e307]
    assert all(-1e-9 <= axis.place(v) <= 1 + 1e-9 for v in shown)


@given(st.lists(finite, min_size=2, max_size=5), st.booleans())
def test_ticks_are_inside_and_few(values, log):
    axis = axis_of(values, log=log)
    ticks = axis.ticks()
    assert len(ticks) <= 16
    assert all(-1e-6 <= axis.place(tick) <= 1 + 1e-6 for tick in ticks)


@pytest.mark.parametrize(
    ("values", "is_log"),
    [([1e-5, 1], True), ([0.5, 1], False), ([0, 1], False), ([-1, 1e4], False), ([1, 21], True)],
)
def test_values_over_decades_are_on_a_log_axis(values, is_log):
    axis = axis_of(values, log=True)
    assert axis.log is is_log
    assert not axis_of(values).log
    if is_log:
        middle = (values[0] * values[1]) ** 0.5
        span = log(axis.high / axis.low)
        assert axis.place(middle) == pytest.approx(log(middle / axis.low) / span)


def test_epochs_have_whole_ticks():
    assert axis_of([1, 3]).ticks(5, whole=True) == [1, 2, 3]
    assert axis_of([1]).ticks(5, whole=True) == [1]


def test_ticks_of_a_log_axis_are_round():
    assert axis_of([2e-6, 3.0], log=True).ticks() == [1e-4, 1e-2, 1.0]
    assert axis_of([0.02, 0.5], log=True).ticks() == [0.03, 0.1, 0.3]
    assert axis_of([0.2, 5.0], log=True).ticks() == [0.3, 1.0, 3.0]
    assert axis_of([1.5, 35.0], log=True).ticks() == [3.0, 10.0, 30.0]


@pytest.mark.parametrize(
    ("ticks", "texts"),
    [
        ([0.0, 0.5, 1.0], ["0", "0.5", "1"]),
        ([1e-5, 1e-3, 1.0], ["10⁻⁵", "10⁻³", "1"]),
        ([2e7, 4e7], ["2·10⁷", "4·10⁷"]),
        ([-2000.0, 2.1e-13, 2000.0], ["-2,000", "0", "2,000"]),
    ],
)
def test_tick_texts(ticks, texts):
    assert [tick_text(tick, ticks) for tick in ticks] == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.020234, "0.02023"),
        (26013.4, "26,013"),
        (3.3e-5, "3.3e-05"),
        (nan, "NaN"),
        (inf, "∞"),
        (-inf, "-∞"),
    ],
)
def test_number_texts(value, text):
    assert number_text(value) == text
