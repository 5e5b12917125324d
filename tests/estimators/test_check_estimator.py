"""The checks that scikit-learn has for every estimator; none is expected to fail."""

from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from perceptrain import PerceptrainClassifier, PerceptrainRegressor

# Full batches in float64, so that weighted and repeated rows agree to rounding.
QUICK: dict[str, Any] = {"max_iter": 15, "lr": 0.04, "hidden": (16,)}
ESTIMATORS = [
    PerceptrainClassifier(**QUICK),
    PerceptrainClassifier(loss="bce_with_logits", **QUICK),  # one output for two classes
    PerceptrainRegressor(**QUICK),
    PerceptrainRegressor(loss="gaussian_nll", **QUICK),  # two outputs for one label
]


@parametrize_with_checks(ESTIMATORS)
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)
