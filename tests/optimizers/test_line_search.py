"""The strong Wolfe conditions, on functions of one variable with known minima."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, exp, inf, isfinite, log, nan, sin

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perceptrain_core.optimizers.line_search import Trial, strong_wolfe

Function = Callable[[float], tuple[float, float]]


class Line:
    """A function and its derivative, with the steps that were tried."""

    def __init__(self, function: Function) -> None:
        self.function, self.steps = function, list[float]()

    def at(self, step: float) -> Trial:
        value, slope = self.function(step)
        if not isfinite(value):
            value, slope = inf, nan
        return Trial(step, value, slope, torch.tensor([slope]))

    def search(self, step: float, max_evals: int = 25) -> Trial | None:
        def evaluate(step: float) -> Trial:
            self.steps.append(step)
            return self.at(step)

        return strong_wolfe(evaluate, self.at(0.0), step, max_evals)


def quartic(t: float) -> tuple[float, float]:
    return (t - 3) ** 4 - t, 4 * (t - 3) ** 3 - 1


def wave(t: float) -> tuple[float, float]:
    return sin(3 * t) - 2 * t + 0.1 * t * t, 3 * cos(3 * t) - 2 + 0.2 * t


def wave_downwards(t: float) -> tuple[float, float]:
    return -sin(3 * t) + 0.1 * t * t, -3 * cos(3 * t) + 0.2 * t


def barrier(t: float) -> tuple[float, float]:
    """Infinite from 1 on, with the minimum at 0.9."""
    return (-9 * t - log(1 - t), -9 + 1 / (1 - t)) if t < 1 else (nan, nan)


def well(t: float) -> tuple[float, float]:
    return -t * exp(-t), (t - 1) * exp(-t)


@pytest.mark.parametrize("function", [quartic, wave_downwards, barrier, well])
@given(step=st.floats(-6, 4).map(lambda power: 10**power))
def test_ends_where_the_conditions_hold(function: Function, step: float) -> None:
    line = Line(function)
    start, found = line.at(0.0), line.search(step)
    assert found is not None
    assert found.loss <= start.loss + 1e-4 * found.step * start.slope
    assert abs(found.slope) <= 0.9 * abs(start.slope)
    assert found == line.at(found.step) or isfinite(found.loss)
    assert line.steps[0] == step
    assert len(line.steps) <= 25


def test_the_first_step_is_taken_if_it_fits() -> None:
    line = Line(quartic)
    found = line.search(1.5)
    assert found is not None
    assert line.steps == [found.step] == [1.5]


@pytest.mark.parametrize("curvature", [1e-3, 1.0, 1e3])
def test_a_parabola_is_solved_by_one_interpolation(curvature: float) -> None:
    line = Line(lambda t: (curvature * (t - 1) ** 2 / 2, curvature * (t - 1)))
    found = line.search(4.0)
    assert found is not None
    assert found.step == pytest.approx(1.0)
    assert len(line.steps) == 2


def test_a_slope_that_is_wrong_finds_nothing() -> None:
    assert Line(lambda t: (t, -1.0)).search(1.0) is None


def test_no_more_evaluations_than_allowed() -> None:
    line = Line(lambda t: (-t, -1.0))  # without a minimum
    found = line.search(1.0, max_evals=4)
    assert len(line.steps) == 4
    assert found is not None
    assert found.step == line.steps[-1] == 1000.0
