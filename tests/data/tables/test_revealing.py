"""Columns that determine a label, against a decision tree and a correlation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.tree import DecisionTreeClassifier

from perceptrain_core.data.tables.revealing import is_copy, what_reveals


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_one_split_is_that_of_a_tree(load):
    data, target = load(return_X_y=True)
    for chosen in range(3):
        label = (target == chosen).astype(float)
        for column in data.T:
            stump = DecisionTreeClassifier(max_depth=1).fit(column[:, None], label)
            perfect = stump.score(column[:, None], label) == 1
            assert (what_reveals(column, label, classes=True) is not None) == perfect
    assert all(what_reveals(column, target, classes=True) is None for column in data.T)


def test_correlations_and_categories():
    rng = np.random.default_rng(0)
    label = rng.normal(size=1000)
    for noise in (0.01, 0.03, 0.06, 0.5):
        column = 3 - 2 * (label + noise * rng.normal(size=1000))
        high = abs(np.corrcoef(column, label)[0, 1]) > 0.999
        assert (what_reveals(column, label, classes=False) is not None) == high
        assert not is_copy(column, label, classes=False)
    assert is_copy(3 - 2 * label, label, classes=False)
    kinds = np.where(label > 0, "up", "down").astype(object)
    towns = np.array([f"{kind}{i % 3}" for i, kind in enumerate(kinds)], object)
    assert what_reveals(towns, kinds, classes=True) == "each of its categories has one class"
    towns[kinds == "up"] = "down0"
    assert what_reveals(towns, kinds, classes=True) is None


def test_gaps_and_few_rows_say_nothing():
    label = np.repeat([0.0, 1.0], 60)
    column = label + np.tile([0.0, 0.1], 60)
    assert what_reveals(column, label, classes=True) == "each class has a range of its values"
    assert what_reveals(column[40:80], label[40:80], classes=True) is None
    assert what_reveals(np.where(label == 0, np.nan, column), label, classes=True) is None
    few = column.copy()
    few[::3] = np.nan
    assert what_reveals(few, label, classes=True) is not None
    assert what_reveals(np.full(120, 2.0), label, classes=True) is None
