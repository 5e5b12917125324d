from __future__ import annotations

from math import exp

import pytest

from perceptrain_core.weightings.dwa import DWA


def test_averages_over_windows_by_hand(step):
    """Averages 3 and 1, then 1 and 1: the ratios are 1/3 and 1."""
    weighting = DWA(2, temperature=0.5)
    for a in (4.0, 2.0, 1.5):
        assert set(step(weighting, {"a": a, "b": 1.0}).values()) <= {1.0}
    weights = step(weighting, {"a": 0.5, "b": 1.0})
    shares = [exp(2 / 3), exp(2)]
    assert [*weights.values()] == pytest.approx([2 * s / sum(shares) for s in shares])
    assert step(weighting, {"a": 9.0, "b": 9.0}) == weights  # until the window ends
    weights = step(weighting, {"a": 9.0, "b": 9.0})
    assert [*weights.values()] == pytest.approx([1, 1])
    assert weighting.memory["mean"]["a"] == 9


def test_a_term_that_is_not_in_every_batch_has_the_average_of_those_where_it_is(step):
    weighting = DWA(2)
    for terms in ({"a": 2.0, "b": 4.0}, {"a": 2.0}, {"a": 2.0, "b": 1.0}, {"a": 2.0, "b": 3.0}):
        weights = step(weighting, terms)
    shares = [exp(1 / 2), exp(0.5 / 2)]
    assert [*weights.values()] == pytest.approx([2 * s / sum(shares) for s in shares])
