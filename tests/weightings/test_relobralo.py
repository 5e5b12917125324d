from __future__ import annotations

from math import exp

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perceptrain_core.weightings.relobralo import ReLoBRaLo


def balance(*ratios: float) -> list[float]:
    shares = [exp(ratio) for ratio in ratios]
    return [len(ratios) * share / sum(shares) for share in shares]


def test_against_the_last_step_by_hand(step):
    weighting = ReLoBRaLo(0.5, look_back=1)
    assert step(weighting, {"a": 4.0, "b": 1.0}) == pytest.approx({"a": 1, "b": 1})
    weights = step(weighting, {"a": 2.0, "b": 1.0})  # ratios 1/2 and 1
    first = [0.5 + 0.5 * b for b in balance(0.5, 1)]
    assert [*weights.values()] == pytest.approx(first)
    weights = step(weighting, {"a": 2.0, "b": 0.5})  # 1 and 1/2
    second = [(w + b) / 2 for w, b in zip(first, balance(1, 0.5), strict=True)]
    assert [*weights.values()] == pytest.approx(second)


def test_looking_back_to_the_start_by_hand(step):
    weighting = ReLoBRaLo(0.9, look_back=0, temperature=0.5)
    for terms in ({"a": 4.0, "b": 1.0}, {"a": 3.0, "b": 1.0}, {"a": 1.0, "b": 1.0}):
        weights = step(weighting, terms)
    start, last = balance(0.25 / 0.5, 1 / 0.5), balance(1 / 3 / 0.5, 1 / 0.5)
    expected = [0.9 * s + 0.1 * n for s, n in zip(start, last, strict=True)]
    assert [*weights.values()] == pytest.approx(expected)


def test_how_often_it_looks_back(step):
    """The weights equal the balance with the start where it looks to that, and else stay 1."""
    torch.manual_seed(0)
    weighting, starts = ReLoBRaLo(1.0, look_back=0.75), 0
    step(weighting, {"a": 2.0, "b": 1.0})
    for _ in range(400):
        weighting.weights = {}
        starts += step(weighting, {"a": 1.0, "b": 1.0})["a"] != 1
    assert starts == pytest.approx(100, abs=30)


@given(
    st.lists(st.tuples(*[st.floats(1e-6, 1e6)] * 3), min_size=2, max_size=6), st.floats(1e-3, 1e3)
)
def test_sum_and_scale(values, scale):
    found = []
    for factor in (1.0, scale):
        torch.manual_seed(1)
        weighting = ReLoBRaLo(0.7, look_back=0.5)
        for row in values:
            terms = {n: torch.tensor(factor * v).double() for n, v in zip("abc", row, strict=True)}
            weights = weighting.update(terms, None)
        found.append([weight.item() for weight in weights.values()])
        assert sum(found[-1]) == pytest.approx(3)
    assert found[0] == pytest.approx(found[1], rel=1e-6, abs=1e-9)
