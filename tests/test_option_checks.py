"""Numeric options: what counts as a number, and what the message says."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceptrain_core.errors import CallbackError, ConfigError
from perceptrain_core.option_checks import check_choice, choice_faults, number_faults, refuse


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-10, 10), st.floats(-10, 10))
def test_bounds_are_those_of_a_comparison(value: float, low: float, high: float) -> None:
    assert (not number_faults({"x": value}, at_least=low)) == (value >= low)
    assert (not number_faults({"x": value}, above=low)) == (value > low)
    assert (not number_faults({"x": value}, at_most=high)) == (value <= high)
    assert (not number_faults({"x": value}, below=high)) == (value < high)
    assert (not number_faults({"x": value}, above=low, below=high)) == (low < value < high)


@pytest.mark.parametrize("value", [True, None, "1", [1], nan, inf, -inf, 1j])
def test_these_are_not_numbers(value: Any) -> None:
    assert number_faults({"x": value}) == [f"x={value!r}: expected a number"]


@pytest.mark.parametrize("value", [1, 2.5, np.float32(1.5), np.int64(3)])
def test_these_are_numbers(value: Any) -> None:
    assert number_faults({"x": value}) == []


def test_whole_numbers() -> None:
    assert number_faults({"n": 3, "m": np.int64(2)}, whole=True, at_least=1) == []
    assert number_faults({"n": 3.0, "m": 0}, whole=True, at_least=1) == [
        "n=3.0: expected a whole number of at least 1",
        "m=0: expected a whole number of at least 1",
    ]


def test_two_bounds_in_one_sentence() -> None:
    assert number_faults({"beta": 2}, at_least=0, below=1) == [
        "beta=2: expected a number of at least 0 and below 1"
    ]


def test_all_faults_in_one_error() -> None:
    faults = number_faults({"lr": -1}, above=0) + number_faults({"n": 0}, whole=True, at_least=1)
    message = "Thing: lr=-1: expected a number above 0; n=0: expected a whole number of at least 1."
    with pytest.raises(ConfigError) as caught:
        refuse("Thing", faults)
    assert str(caught.value) == message
    with pytest.raises(CallbackError):
        refuse("Thing", faults, CallbackError)
    refuse("Thing", [])


@pytest.mark.parametrize("value", ["min", None, True])
def test_an_allowed_value(value: object) -> None:
    assert choice_faults({"x": value}, ("min", None, True)) == []


@pytest.mark.parametrize(
    ("value", "hint"),
    [("maen", " Did you mean 'mean'?"), ("Mean", " Did you mean 'mean'?"), ("zzz", "")],
)
def test_another_value_is_refused_with_the_nearest(value: str, hint: str) -> None:
    with pytest.raises(CallbackError) as raised:
        check_choice("reduction", value, ("mean", "sum", None), owner="X", error=CallbackError)
    assert str(raised.value) == f"X: reduction={value!r}: expected 'mean', 'sum' or None.{hint}"


@pytest.mark.parametrize("value", [["mean"], {}, np.zeros(3), 1])
def test_values_of_other_types_are_refused(value: object) -> None:
    with pytest.raises(ConfigError, match=r"^reduction=.*: expected 'mean'\.$"):
        check_choice("reduction", value, ("mean",))
