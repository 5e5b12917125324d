from __future__ import annotations

from itertools import count, cycle, islice, repeat
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from perceptrain import DictDataLoader, InfiniteTensorDataset, to_dataloader
from perceptrain.errors import DataError
from perceptrain_core.data import is_infinite


def test_every_row_before_any_twice() -> None:
    dataset = InfiniteTensorDataset(torch.arange(10), torch.arange(10) * 2)
    rows = list(islice(dataset, 30))
    assert all(y == 2 * x for x, y in rows)
    for start in (0, 10, 20):
        assert {int(x) for x, _ in rows[start : start + 10]} == set(range(10))


@pytest.mark.parametrize("tensors", [(), (torch.zeros(0),), (torch.zeros(2), torch.zeros(3))])
def test_errors(tensors: tuple[Any, ...]) -> None:
    with pytest.raises(DataError):
        InfiniteTensorDataset(*tensors)


X = torch.zeros(4, 1)


class Endless:
    infinite = True

    def __iter__(self) -> Any:
        return count()


@pytest.mark.parametrize(
    ("loader", "infinite"),
    [
        (None, False),
        ([1, 2], False),
        (to_dataloader(X), False),
        (to_dataloader(X, infinite=True), True),
        (to_dataloader(X, infinite=True, collate_fn=list), True),
        (DataLoader(InfiniteTensorDataset(X)), True),
        (DataLoader(TensorDataset(X)), False),
        (InfiniteTensorDataset(X), True),
        (cycle([1]), True),
        (count(), True),
        (repeat(1), True),
        (repeat(1, 3), False),
        (Endless(), True),
        (DictDataLoader({"a": Endless()}), True),
        (DictDataLoader({"a": Endless(), "b": [1]}), False),
    ],
)
def test_is_infinite(loader: Any, infinite: bool) -> None:
    assert is_infinite(loader) is infinite
