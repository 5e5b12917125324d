"""Sizes of models that follow from the data."""

from __future__ import annotations

import pytest

from perceptrain_core.errors import ConfigError
from perceptrain_core.models import FFNN, EmbeddingFFNN
from perceptrain_core.models.sizes import DataSizes, complete_options

SIZES = DataSizes(3, 2, (0, 4, 0))


def small(in_features: int, width: int = 5) -> FFNN:
    return FFNN([in_features, width, 1])


@pytest.mark.parametrize(
    ("target", "options", "complete"),
    [
        (FFNN, {"hidden": [8]}, {"layers": [3, 8, 2]}),
        (FFNN, {"hidden": []}, {"layers": [3, 2]}),
        (FFNN, {"layers": [1, 1]}, {"layers": [1, 1]}),
        (
            EmbeddingFFNN,
            {"hidden": [8], "cardinalities": [2]},
            {"hidden": [8], "cardinalities": [2], "out_features": 2},
        ),
        (small, {"width": 7}, {"in_features": 3, "width": 7}),
        (dict, {"a": 1}, {"a": 1}),
    ],
)
def test_options_are_completed(target, options, complete):
    assert complete_options(target, options, SIZES) == complete


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": [8], "layers": [1, 1]}, "hidden and layers are both given"),
        ({"hidden": 8}, "hidden=8: expected a list of sizes"),
        ({"hidden": "ab"}, "hidden='ab': expected a list of sizes"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ConfigError, match=message):
        complete_options(FFNN, options, SIZES)
