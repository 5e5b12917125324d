"""The checks that scikit-learn has for every estimator."""

from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from perceptrain import PerceptrainClassifier, PerceptrainRegressor

QUICK: dict[str, Any] = {"max_iter": 30, "lr": 0.02, "hidden": (16,)}


@parametrize_with_checks([PerceptrainClassifier(**QUICK), PerceptrainRegressor(**QUICK)])
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)
