from __future__ import annotations

from math import exp

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perceptrain_core.weightings.softadapt import SoftAdapt

BEFORE, NOW = {"a": 4.0, "b": 1.0}, {"a": 2.0, "b": 2.0}  # changes of -2 and +1


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        ({}, [exp(-0.2), exp(0.1)]),
        ({"beta": -1}, [exp(2), exp(-1)]),
        ({"beta": 1, "normalized": True}, [exp(-2 / 3), exp(1 / 3)]),
        ({"beta": 1, "loss_weighted": True}, [2 * exp(-2), 2 * exp(1)]),
        ({"normalized": True, "loss_weighted": True}, [exp(-0.2 / 3), exp(0.1 / 3)]),
    ],
)
def test_the_variants_by_hand(step, options, shares):
    weighting = SoftAdapt(**options)
    first = step(weighting, BEFORE)
    expected = [0.8, 0.2] if options.get("loss_weighted") else [0.5, 0.5]
    assert [*first.values()] == pytest.approx(expected)
    weights = [*step(weighting, NOW).values()]
    assert weights == pytest.approx([share / sum(shares) for share in shares])


@given(st.floats(0.01, 100), st.lists(st.floats(0.01, 100), min_size=3, max_size=3))
def test_the_sum_is_1_and_the_normalized_variant_knows_no_scale(scale, values):
    found = []
    for factor in (1.0, scale):
        weighting = SoftAdapt(2.0, normalized=True, loss_weighted=True)
        for row in ([1.0, 2.0, 3.0], values):
            terms = {name: factor * value for name, value in zip("abc", row, strict=True)}
            weights = [w.item() for w in weighting.update(_tensors(terms), None).values()]
        assert sum(weights) == pytest.approx(1)
        found.append(weights)
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def _tensors(terms):
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in terms.items()}
