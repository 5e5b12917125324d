"""Parameters of estimators with wrong values are refused, with what to write instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perceptrain import PerceptrainClassifier, PerceptrainRegressor
from perceptrain.errors import ConfigError

FAULTS = [
    ({"hidden": "16"}, r"hidden='16': expected a sequence .*, such as \(64,\) for one layer"),
    ({"hidden": 16}, r"hidden=16: expected a sequence .*, such as \(16,\) for one layer"),
    ({"hidden": None}, "hidden=None: expected a sequence"),
    ({"hidden": [16.7]}, r"hidden=\[16.7\]: expected whole numbers of at least 1"),
    ({"hidden": [True]}, "expected whole numbers of at least 1"),
    ({"max_iter": 0}, "max_iter=0: expected a whole number of at least 1"),
    ({"max_iter": "5"}, "max_iter='5': expected a whole number of at least 1"),
    ({"train": 3}, r"train=3: expected a mapping of fields of TrainConfig, such as"),
    ({"train": "grad_clip"}, "train='grad_clip': expected a mapping"),
    ({"random_state": "0"}, "random_state='0': expected a whole number from 0"),
    ({"random_state": -1}, "random_state=-1: expected a whole number from 0"),
    ({"early_stopping": "no"}, "early_stopping='no': expected True or False"),
    ({"validation_fraction": 2}, "validation_fraction=2: expected a number above 0 and below 1"),
    ({"callbacks": "keep_best"}, "callbacks='keep_best': expected a list of callbacks"),
    ({"model": {"hidden": [3]}}, "expected a name, a mapping with a name"),
    ({"hidden": 3, "train": 3}, "hidden=3: .*; train=3"),
]


@pytest.mark.parametrize("estimator", [PerceptrainClassifier, PerceptrainRegressor])
@pytest.mark.parametrize(("params", "message"), FAULTS)
def test_wrong_parameters(wine: Any, estimator: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        estimator(**{"max_iter": 1, **params}).fit(*wine)


def test_numbers_of_numpy_are_numbers(wine: Any) -> None:
    fitted = PerceptrainClassifier(
        hidden=np.array([4, 3]), max_iter=np.int64(2), random_state=np.int64(0)
    ).fit(*wine)
    assert fitted.model_.layers == (13, 4, 3, 3)
    assert fitted.n_iter_ == 2
