from __future__ import annotations

import pytest

from perceptrain_core.weightings.grad_norm_balance import GradNormBalance

ROWS = {"a": [3.0, 4.0], "b": [0.0, 1.0], "c": [4.0, 0.0]}
TERMS = dict.fromkeys(ROWS, 1.0)


def test_two_updates_by_hand(step):
    """The norms are 5, 1 and 4, and their sum is 10."""
    weighting = GradNormBalance()
    assert step(weighting, TERMS, ROWS) == pytest.approx({"a": 1.1, "b": 1.9, "c": 1.15})
    assert step(weighting, TERMS, ROWS) == pytest.approx({"a": 1.19, "b": 2.71, "c": 1.285})
    assert weighting.every == 1000


def test_at_the_fixed_point_all_weighted_gradients_are_equally_long(step):
    weighting = GradNormBalance(0.5)
    for _ in range(60):
        weights = step(weighting, TERMS, ROWS)
    assert [5 * weights["a"], weights["b"], 4 * weights["c"]] == pytest.approx([10.0] * 3)
    assert step(weighting, TERMS, ROWS) == pytest.approx(weights)


def test_the_scale_of_the_loss_does_not_matter(step):
    scaled = {name: [1e-6 * x for x in row] for name, row in ROWS.items()}
    weights = step(GradNormBalance(), TERMS, scaled)
    assert weights == pytest.approx(step(GradNormBalance(), TERMS, ROWS))


def test_a_term_without_a_gradient_keeps_its_weight(step):
    weights = step(GradNormBalance(0, initial={"b": 3}), TERMS, {**ROWS, "b": [0.0, 0.0]})
    assert weights == pytest.approx({"a": 9 / 5, "b": 3, "c": 9 / 4})


def test_a_weight_that_runs_away_is_held(step):
    weighting = GradNormBalance(0, max_weight=7)
    with pytest.warns(UserWarning, match="weight of b is held at max_weight=7"):
        assert step(weighting, TERMS, ROWS)["b"] == 7
    step(weighting, TERMS, ROWS)  # once is enough
