from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader

from perceptrain import DictDataLoader, InfiniteTensorDataset, to_dataloader
from perceptrain.errors import DataError


def loader(rows: int, **options: Any) -> Any:
    return to_dataloader(torch.arange(rows), **options)


@given(lengths=st.dictionaries(st.sampled_from("abc"), st.integers(1, 9), min_size=1))
def test_an_epoch_covers_the_longest_and_the_others_start_again(lengths: dict[str, int]) -> None:
    together = DictDataLoader({name: loader(rows) for name, rows in lengths.items()})
    for _ in range(2):
        batches = list(together)
        assert len(batches) == len(together) == max(lengths.values())
        for step, batch in enumerate(batches):
            assert {n: int(value) for n, value in batch.items()} == {
                n: step % rows for n, rows in lengths.items()
            }


def test_one_element_tuples_are_unwrapped_and_others_stay() -> None:
    x = torch.zeros(2, 1)
    batch = next(iter(DictDataLoader({"points": to_dataloader(x), "pair": to_dataloader(x, x)})))
    assert isinstance(batch["points"], Tensor)
    assert isinstance(batch["pair"], tuple)


@pytest.mark.parametrize(
    "endless",
    [
        lambda: loader(6, batch_size=4, infinite=True),
        lambda: loader(6, batch_size=4, infinite=True, collate_fn=torch.utils.data.default_collate),
        lambda: DataLoader(InfiniteTensorDataset(torch.arange(6)), batch_size=4),
    ],
    ids=["tensors", "collate_fn", "data set"],
)
def test_infinite_beside_finite_goes_on_from_epoch_to_epoch(endless: Any) -> None:
    together = DictDataLoader({"finite": loader(3), "endless": endless()})
    assert len(together) == 3
    batches = [batch["endless"] for _ in range(2) for batch in together]
    assert len(batches) == 6
    rows = torch.cat([torch.as_tensor(batch) for batch in batches])
    for part in rows.reshape(4, 6):
        assert sorted(part.tolist()) == list(range(6))


def test_all_infinite_is_infinite() -> None:
    together = DictDataLoader({"a": loader(2, infinite=True), "b": loader(3, infinite=True)})
    assert together.infinite
    assert len(list(islice(together, 20))) == 20
    with pytest.raises(TypeError, match="infinite"):
        len(together)


@pytest.mark.parametrize("given_", [{}, None, [1], "ab"])
def test_no_loaders(given_: Any) -> None:
    with pytest.raises(DataError, match="requires a mapping of names to loaders"):
        DictDataLoader(given_)


def test_no_loader() -> None:
    with pytest.raises(DataError, match="'pde': expected a loader, got int"):
        DictDataLoader({"pde": 3})  # type: ignore[dict-item]


def test_an_empty_one_beside_others() -> None:
    with pytest.raises(DataError, match="'b' is empty"):
        list(DictDataLoader({"a": [1, 2], "b": []}))


def test_a_short_generator_cannot_start_again() -> None:
    with pytest.raises(DataError, match="'b' is empty, or can be iterated only once"):
        list(DictDataLoader({"a": [1, 2, 3], "b": (i for i in range(2))}))
