"""The data sets of scikit-learn, through their registered names."""

from __future__ import annotations

import sys

import pytest
import torch

from perceptrain import get_dataset
from perceptrain_core.errors import MissingDependencyError

datasets = pytest.importorskip("sklearn.datasets")


@pytest.mark.parametrize(
    ("name", "inputs", "classes"),
    [("digits", (1797, 64), 10), ("breast_cancer", (569, 30), 2), ("wine", (178, 13), 3)],
)
def test_classes(name, inputs, classes):
    x, y = get_dataset(name)
    raw, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    assert (x.shape, x.dtype, y.dtype) == (inputs, torch.float32, torch.int64)
    assert sorted(set(y.tolist())) == list(range(classes))
    scale = 16 if name == "digits" else 1
    torch.testing.assert_close(x, torch.tensor(raw / scale, dtype=torch.float32))
    assert y.tolist() == labels.tolist()


def test_digits_are_between_0_and_1():
    x, _ = get_dataset("digits")
    assert (x.min().item(), x.max().item()) == (0, 1)


def test_diabetes_has_a_column_of_labels():
    x, y = get_dataset("diabetes")
    assert (x.shape, y.shape, x.dtype, y.dtype) == ((442, 10), (442, 1), *[torch.float32] * 2)
    assert (y.min().item(), y.max().item()) == (25, 346)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "perceptrain-core\[demo\]"'):
        get_dataset("wine")
