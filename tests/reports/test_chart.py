from __future__ import annotations

import random
import re
from math import inf, isfinite, nan

import pytest

from perceptrain_core.reports.chart import HEIGHT, WIDTH, Chart, Line, thinned


def places(path):
    """The absolute points of a path of this module."""
    found = []
    for start, steps in re.findall(r"M(-?\d+ -?\d+)(?:l([-\d ]+)|h0)", path):
        x, y = map(int, start.split())
        found.append((x, y))
        numbers = list(map(int, steps.split()))
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + dx, y + dy
            found.append((x, y))
    return found


def test_a_path_has_its_points_where_the_axes_say():
    chart = Chart("loss", [Line("train", [(1, 5.0), (2, 3.0), (4, 1.0)])])
    found = places(chart.paths()[0])
    wanted = [
        (WIDTH * chart.x.place(x), HEIGHT * (1 - chart.y.place(y)))
        for x, y in chart.lines[0].points
    ]
    assert found == [(round(x), round(y)) for x, y in wanted]
    assert found[0][1] < found[1][1] < found[2][1]  # a larger value is higher


def test_relative_steps_do_not_add_up_to_an_error():
    rng = random.Random(0)
    line = [(float(i), rng.random()) for i in range(900)]
    chart = Chart("loss", [Line("train", line)])
    x, y = places(chart.paths()[0])[-1]
    assert (x, y) == (
        round(WIDTH * chart.x.place(899)),
        round(HEIGHT * (1 - chart.y.place(line[-1][1]))),
    )


def test_what_is_not_finite_is_a_gap():
    line = [(1, 5.0), (2, nan), (3, 4.0), (4, 3.0), (5, inf), (6, 2.0)]
    chart = Chart("loss", [Line("train", line)])
    path = chart.paths()[0]
    assert path.count("M") == 3
    assert len(places(path)) == 4
    assert chart.data()["lines"][0]["points"] == [[1, 3, 4, 6], [5, 4, 3, 2]]


def test_one_point_is_drawn():
    chart = Chart("loss", [Line("train", [(1, 5.0)])])
    assert len(places(chart.paths()[0])) == 1
    assert chart.x_ticks() == [(50.0, "1")]


def test_without_a_finite_value_nothing_is_drawn():
    chart = Chart("loss", [Line("train", [(1, nan), (2, nan)])])
    assert chart.paths() == [""]
    assert "no finite value" in chart.description()


@pytest.mark.parametrize("epochs", [1000, 1001, 100_000])
def test_long_lines_keep_their_extremes(epochs):
    rng = random.Random(0)
    line = [(float(i), rng.random()) for i in range(epochs)]
    line[epochs // 3] = (epochs // 3, 7.0)
    line[epochs // 2] = (epochs // 2, -7.0)
    line[10] = (10.0, nan)
    kept = thinned(line)
    assert len(kept) <= 1000
    assert {7.0, -7.0} < {y for _, y in kept}
    assert any(not isfinite(y) for _, y in kept)
    assert [x for x, _ in kept] == sorted({x for x, _ in kept})


def test_the_description_has_the_figures():
    text = Chart("loss", [Line("val", [(1, 5.0), (2, 0.125), (3, 0.5)])]).description()
    assert text == (
        "loss by epoch, logarithmic. val: 5 at epoch 1, 0.5 at epoch 3, lowest 0.125, highest 5."
    )
