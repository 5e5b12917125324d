"""The data sets: known figures of the patients, and the hazard of random times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from perceptrain import get_dataset
from perceptrain.errors import ConfigError


def test_the_patients() -> None:
    """The figures of Schumacher et al. (1994)."""
    inputs, labels = get_dataset("gbsg2")
    assert inputs.shape == (686, 8)
    assert inputs.dtype is labels.dtype is torch.float32
    event, time = labels.T
    assert event.sum() == 299
    assert time.min() * 365.25 == pytest.approx(8)
    assert time.max() * 365.25 == pytest.approx(2659)
    therapy, menopause, grade = inputs[:, 5:].T
    assert (therapy.sum(), menopause.sum()) == (246, 396)
    assert grade.long().bincount().tolist() == [0, 81, 444, 161]
    assert inputs[0].tolist() == [70, 21, 3, 48, 66, 0, 1, 2]


def test_random_times_have_their_hazard() -> None:
    """The integral of the hazard up to the time has an exponential distribution."""
    inputs, labels = get_dataset("weibull_times", rows=2000, shape=2.0, censoring=0)
    assert (labels[:, 0] == 1).all()
    cumulative = labels[:, 1] ** 2 * torch.exp(inputs[:, 0] - inputs[:, 1] / 2)
    assert kstest(cumulative.numpy(), "expon").pvalue > 1e-3
    inputs, labels = get_dataset("weibull_times", rows=2000)
    assert inputs.shape == (2000, 4)
    assert 1 - labels[:, 0].mean() == pytest.approx(1 / 3, abs=0.05)
    assert np.isin(labels[:, 0], [0, 1]).all()


@pytest.mark.parametrize("option", [{"rows": 0}, {"features": 1}, {"shape": 0}, {"censoring": -1}])
def test_wrong_options(option: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected rows of at least 1"):
        get_dataset("weibull_times", **option)
