"""Folds, against those of scikit-learn."""

from __future__ import annotations

import warnings
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import KFold, StratifiedKFold
from torch.utils.data import DataLoader, TensorDataset

from perceptrain_core.data.files.folds import fold_rows
from perceptrain_core.data.files.splits import Splits
from perceptrain_core.errors import DataError

Rows = list[tuple[list[int], list[int]]]


def table(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    numbers = torch.arange(rows)
    return numbers.unsqueeze(1).float(), numbers.unsqueeze(1).float()


def folds_of(data: tuple[torch.Tensor, ...], folds: int, seed: int = 0) -> Rows:
    """The numbers of the training and validation rows of each fold."""
    found = []
    for fold in range(1, folds + 1):
        splits = fold_rows(Splits(data, test="apart"), folds, fold, seed)
        assert splits.test == "apart"
        numbers = [part[0].squeeze(1).int().tolist() for part in (splits.train, splits.val)]
        found.append((numbers[0], numbers[1]))
    return found


@given(st.integers(2, 30), st.integers(2, 6), st.integers(0, 3))
def test_each_row_is_validated_once(rows: int, folds: int, seed: int) -> None:
    if folds > rows:
        return
    found = folds_of(table(rows), folds, seed)
    assert sorted(row for _, val in found for row in val) == list(range(rows))
    for train, val in found:
        assert sorted(train + val) == list(range(rows))
        assert train == sorted(train)
    sizes = [len(val) for _, val in KFold(folds).split(range(rows))]
    assert sorted(len(val) for _, val in found) == sorted(sizes)


@given(st.lists(st.integers(0, 3), min_size=6, max_size=40), st.integers(2, 6))
def test_classes_are_divided_as_by_scikit_learn(labels: list[int], folds: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare classes, as scikit-learn does
        found = folds_of((table(len(labels))[0], torch.tensor(labels)), folds)
        if folds > max(Counter(labels).values()):  # scikit-learn refuses these
            return
        truth = StratifiedKFold(folds).split(labels, labels)
        expected = [Counter(labels[row] for row in val) for _, val in truth]
    counts = [Counter(labels[row] for row in val) for _, val in found]
    for label in set(labels):
        assert sorted(c[label] for c in counts) == sorted(c[label] for c in expected)
    assert sorted(c.total() for c in counts) == sorted(c.total() for c in expected)


def test_the_seed_decides() -> None:
    assert folds_of(table(20), 4, 1) == folds_of(table(20), 4, 1)
    assert folds_of(table(20), 4, 1) != folds_of(table(20), 4, 2)


def test_a_rare_class_is_a_warning() -> None:
    data = table(6)[0], torch.tensor([0, 0, 0, 1, 1, 1])
    fold_rows(Splits(data), 3, 1, 0)
    data[1][0] = 7
    with pytest.warns(UserWarning, match="Class 7 has 1 row, fewer than the 3 folds"):
        fold_rows(Splits(data), 3, 1, 0)


def test_what_has_no_folds() -> None:
    with pytest.raises(DataError, match="4 rows cannot have fold 1 of 5: expected 2 to 4 folds"):
        fold_rows(Splits(table(4)), 5, 1, 0)
    with pytest.raises(DataError, match="4 rows cannot have fold 3 of 2"):
        fold_rows(Splits(table(4)), 2, 3, 0)
    with pytest.raises(DataError, match="these data come as loaders or points"):
        fold_rows(Splits(DataLoader(TensorDataset(*table(4)))), 2, 1, 0)
    with pytest.raises(DataError, match="have validation data already"):
        fold_rows(Splits(table(4), table(4)), 2, 1, 0)
    with pytest.raises(DataError, match="differ in length: 4, 3"):
        fold_rows(Splits((torch.ones(4, 1), torch.ones(3, 1))), 2, 1, 0)
