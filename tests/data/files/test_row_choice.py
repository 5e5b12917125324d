"""Choices of rows by class and by group, against scikit-learn."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, StratifiedKFold

from perceptrain_core.data.files.row_choice import Traits, choose_rows, rows_of_fold
from perceptrain_core.errors import DataError


@given(st.lists(st.integers(0, 3), min_size=4, max_size=80), st.data())
def test_each_part_has_its_share_of_every_class(labels: list[int], data: st.DataObject) -> None:
    rows = len(labels)
    val = data.draw(st.integers(0, rows - 1))
    test = data.draw(st.integers(0, rows - 1 - val))
    parts = choose_rows(
        rows, (val, test), data.draw(st.integers(0, 3)), Traits(torch.tensor(labels))
    )
    assert [len(part) for part in parts] == [rows - val - test, val, test]
    assert sorted(torch.cat(parts).tolist()) == list(range(rows))
    for part in parts:
        counts = Counter(labels[row] for row in part.tolist())
        for label, number in Counter(labels).items():
            assert abs(counts[label] - number * len(part) / rows) < 2


@given(st.lists(st.integers(0, 5), min_size=12, max_size=80), st.integers(0, 3))
def test_groups_stay_together(groups: list[int], seed: int) -> None:
    traits = Traits(groups=torch.tensor(groups))
    try:
        parts = choose_rows(len(groups), (len(groups) // 4, len(groups) // 4), seed, traits)
    except DataError:
        assert max(Counter(groups).values()) > len(groups) / 4  # no room for a whole group
        return
    assert sorted(torch.cat(parts).tolist()) == list(range(len(groups)))
    found = [{groups[row] for row in part.tolist()} for part in parts]
    assert all(part for part in found)
    assert sum(map(len, found)) == len(set(groups))


def test_many_groups_fill_the_fractions():
    groups = torch.arange(1000) // 5
    train, val, test = choose_rows(1000, (200, 100), 0, Traits(groups=groups))
    assert (len(train), len(val), len(test)) == (700, 200, 100)
    other = choose_rows(1000, (200, 100), 1, Traits(groups=groups))[1]
    assert sorted(val.tolist()) != sorted(other.tolist())


@given(st.lists(st.integers(0, 7), min_size=10, max_size=80), st.integers(2, 5), st.integers(0, 3))
def test_folds_of_groups(groups: list[int], folds: int, seed: int) -> None:
    traits, rows = Traits(groups=torch.tensor(groups)), len(groups)
    if len(set(groups)) < folds:
        with pytest.raises(DataError, match=f"groups cannot have {folds} folds"):
            rows_of_fold(rows, folds, 1, seed, traits)
        return
    found = [rows_of_fold(rows, folds, fold + 1, seed, traits) for fold in range(folds)]
    assert torch.stack(found).sum(0).tolist() == [1] * rows
    for mask in found:
        inside = {groups[row] for row in mask.nonzero().flatten().tolist()}
        assert inside.isdisjoint(groups[row] for row in (~mask).nonzero().flatten().tolist())
    sizes = [len(val) for _, val in GroupKFold(folds).split(groups, groups=groups)]
    assert sorted(int(mask.sum()) for mask in found) == sorted(sizes)


def test_shares_as_by_stratified_folds():
    labels = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    _, val, _ = choose_rows(100, (20, 0), 0, Traits(labels))
    _, truth = next(StratifiedKFold(5).split(labels, labels))
    assert Counter(labels[val].tolist()) == Counter(labels[truth].tolist())


def test_too_few_groups():
    groups = Traits(groups=torch.tensor([0] * 9 + [1]))
    with pytest.raises(DataError, match="2 groups cannot be split"):
        choose_rows(10, (2, 0), 0, Traits(groups=torch.tensor([0] * 5 + [1] * 5)))
    with pytest.raises(DataError, match="2 groups cannot be split: none is left for training"):
        choose_rows(10, (9, 1), 0, groups)
