"""The checks that scikit-learn has for every estimator; none is expected to fail."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from perceptrain import PerceptrainClassifier, PerceptrainRegressor

# Full batches in float64, so that weighted and repeated rows agree to rounding.
QUICK: dict[str, Any] = {"max_iter": 30, "lr": 0.02, "hidden": (16,)}
OTHER_LOSSES = [
    *(PerceptrainClassifier(loss=loss, **QUICK) for loss in ("bce_with_logits", "nll")),
    PerceptrainClassifier(loss="multi_margin", **QUICK),
    *(PerceptrainRegressor(loss=loss, **QUICK) for loss in ("huber", "gaussian_nll")),
]


@parametrize_with_checks([PerceptrainClassifier(**QUICK), PerceptrainRegressor(**QUICK)])
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([PerceptrainClassifier(), PerceptrainRegressor(), *OTHER_LOSSES])
def test_checks_with_defaults_and_other_losses(estimator: Any, check: Any) -> None:
    check(estimator)
