"""Scaling against that of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from perceptrain_core.estimators.scaling import Scaling

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(50, 4)) * [1.0, 100.0, 1e-3, 0.0] + [0.0, 1e4, -1.0, 0.1]


@pytest.mark.parametrize("weights", [None, RNG.integers(0, 3, size=50).astype(float)])
def test_columns_are_scaled_as_by_scikit_learn(weights: np.ndarray | None) -> None:
    expected = StandardScaler().fit(ROWS, sample_weight=weights)
    scaling = Scaling.of(ROWS, weights)
    np.testing.assert_allclose(scaling.scaled(ROWS), expected.transform(ROWS), atol=1e-9)
    np.testing.assert_allclose(scaling.unscaled(scaling.scaled(ROWS)), ROWS)


def test_rows_without_any_weight_count_the_same() -> None:
    np.testing.assert_equal(Scaling.of(ROWS, np.zeros(50)).mean, Scaling.of(ROWS).mean)


def test_the_dtype_is_kept() -> None:
    rows = ROWS.astype(np.float32)
    assert Scaling.of(rows).scaled(rows).dtype == np.float32
    assert Scaling().scaled(rows).dtype == np.float32
    np.testing.assert_array_equal(Scaling().scaled(rows), rows)
