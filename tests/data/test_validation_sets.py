"""Several validation sets: their names are checked when they are made."""

from __future__ import annotations

import pickle

import pytest
import torch

from perceptrain.data import ValidationSets
from perceptrain.errors import DataError


def test_holds_what_it_is_given() -> None:
    x = torch.ones(2, 1)
    sets = ValidationSets(clean=x, noisy=(x, x))
    assert sets.sets == {"clean": x, "noisy": (x, x)}
    assert list(pickle.loads(pickle.dumps(sets)).sets) == ["clean", "noisy"]


def test_what_cannot_be_sets() -> None:
    with pytest.raises(DataError, match="at least one set: ValidationSets"):
        ValidationSets()
    with pytest.raises(DataError, match="'noisy' is None: pass its data"):
        ValidationSets(clean=torch.ones(2), noisy=None)


@pytest.mark.parametrize("name", ["", "two words", "1st", "_own", "a-b", "a/b"])
def test_names_that_metrics_cannot_have(name: str) -> None:
    with pytest.raises(DataError, match="letters, digits and underscores"):
        ValidationSets(**{name: torch.ones(2)})
