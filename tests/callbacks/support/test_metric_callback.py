from __future__ import annotations

from itertools import accumulate
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceptrain_core.callbacks.support.metric_callback import MetricCallback

values = st.lists(st.floats(-1e6, 1e6), min_size=1)


def monitor(mode: str = "min", margin: float = 0.0, relative: bool = False) -> MetricCallback:
    return MetricCallback("train_epoch_end", 1, "val_loss", mode, margin, relative)


@pytest.mark.parametrize(("mode", "worst"), [("min", inf), ("max", -inf)])
def test_anything_is_better_than_the_start(mode: str, worst: float) -> None:
    watched = monitor(mode, margin=1e6, relative=True)
    assert watched.best_value == worst
    assert watched.is_improved_by(3.0)
    assert watched.best_value == 3.0


@given(values)
def test_without_a_margin_the_best_is_the_extreme(numbers: list[float]) -> None:
    low, high = monitor("min"), monitor("max")
    better = [(low.is_improved_by(n), high.is_improved_by(n)) for n in numbers]
    assert (low.best_value, high.best_value) == (min(numbers), max(numbers))
    lowest = [inf, *accumulate(numbers, min)]
    assert [b for b, _ in better] == [n < b for n, b in zip(numbers, lowest, strict=False)]
    assert low.counter == len(numbers) - 1 - numbers.index(min(numbers))


@given(values, st.floats(0, 10), st.booleans())
def test_the_modes_mirror_each_other(numbers: list[float], margin: float, relative: bool) -> None:
    low, high = monitor("min", margin, relative), monitor("max", margin, relative)
    for number in numbers:
        assert low.is_improved_by(number) == high.is_improved_by(-number)
    assert (low.best_value, low.counter) == (-high.best_value, high.counter)


@pytest.mark.parametrize(
    ("relative", "mode", "best", "value", "better"),
    [
        (False, "min", 1.0, 0.9, False),
        (False, "min", 1.0, 0.85, True),
        (False, "max", 1.0, 1.1, False),
        (False, "max", 1.0, 1.2, True),
        (True, "min", 100.0, 91.0, False),
        (True, "min", 100.0, 89.0, True),
        (True, "min", -100.0, -99.0, False),
        (True, "min", -100.0, -111.0, True),
        (True, "min", 1e-6, 8e-7, True),
    ],
)
def test_margin(relative: bool, mode: str, best: float, value: float, better: bool) -> None:
    watched = monitor(mode, 0.1, relative)
    watched.is_improved_by(best)
    assert watched.is_improved_by(value) is better
    assert watched.counter == (not better)


def test_nan_is_never_better() -> None:
    watched = monitor()
    assert not watched.is_improved_by(nan)
    assert watched.is_improved_by(1.0)
    assert not watched.is_improved_by(nan)
    assert (watched.best_value, watched.counter) == (1.0, 1)
