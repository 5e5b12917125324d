from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from perceptrain import DictDataLoader, InfiniteTensorDataset, to_dataloader
from perceptrain.errors import DataError
from perceptrain_core.data import TensorLoader, as_loader, is_infinite

X = torch.arange(10.0).reshape(10, 1)


class Squares(Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 10

    def __getitem__(self, i: int) -> int:
        return i * i


class Counted(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter(range(6))

    def __len__(self) -> int:
        return 6


class Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter(range(6))


@pytest.mark.parametrize("data", [X, (X, X)])
def test_tensors_are_batched(data: Any) -> None:
    loader = as_loader(data, batch_size=4, shuffle=False)
    assert isinstance(loader, TensorLoader)
    assert len(loader) == 3
    assert not loader.shuffle


def test_dict_of_tensors() -> None:
    loader = as_loader({"a": X, "b": (X[:5],)}, batch_size=5, shuffle=False)
    assert isinstance(loader, DictDataLoader)
    assert [batch["b"].shape for batch in loader] == [(5, 1), (5, 1)]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    ("data", "batches"), [(Squares(), 3), (Counted(), 2), (Stream(), 2), (TensorDataset(X), 3)]
)
def test_data_sets_are_batched(data: Any, batches: int, shuffle: bool) -> None:
    loader = as_loader(data, batch_size=4, shuffle=shuffle)
    assert isinstance(loader, DataLoader)
    assert len(list(loader)) == batches


def test_map_style_data_set_is_shuffled() -> None:
    torch.manual_seed(0)
    loader = as_loader(Squares(), batch_size=10, shuffle=True)
    (batch,) = loader
    assert batch.tolist() != [i * i for i in range(10)]
    assert sorted(batch.tolist()) == [i * i for i in range(10)]


@pytest.mark.parametrize(
    "data", [[X], to_dataloader(X), (b for b in [X]), DictDataLoader({"a": [X]})]
)
def test_iterables_come_back_as_they_are(data: Any) -> None:
    assert as_loader(data, 4, True) is data


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    "empty", [[], torch.zeros(0, 2), TensorDataset(torch.zeros(0, 2)), DataLoader([])]
)
def test_empty_data(empty: Any, shuffle: bool) -> None:
    with pytest.raises(DataError, match="empty"):
        as_loader(empty, 4, shuffle)


@pytest.mark.parametrize("nothing", [3, "text", b"bytes", object(), None])
def test_no_data(nothing: Any) -> None:
    with pytest.raises(
        DataError, match=f"The validation data are of type {type(nothing).__name__}"
    ):
        as_loader(nothing, 4, False, "val")


@pytest.mark.parametrize("labels", [["a"] * 10, [0.5] * 10, list(range(10))])
def test_labels_in_a_list(labels: list[Any]) -> None:
    with pytest.raises(DataError, match=r"It holds Tensor and list: convert lists, torch.tensor\("):
        as_loader((X, labels), 4, True)


def test_infinite_data_set_as_data() -> None:
    loader = as_loader(InfiniteTensorDataset(X), 4, True)
    assert [len(batch[0]) for batch in islice(loader, 5)] == [4] * 5
    assert is_infinite(loader)


# Batches that are not full


@pytest.mark.parametrize(
    "data",
    [
        torch.arange(10),
        {"a": torch.arange(10), "b": -torch.arange(10)},
        {"a": torch.arange(10), "b": torch.arange(11)},
        TensorDataset(torch.arange(10)),
    ],
    ids=["tensor", "rows", "points", "data set"],
)
def test_a_last_batch_that_is_not_full(data: Any) -> None:
    assert len(list(as_loader(data, 4, False))) == 3
    assert len(list(as_loader(data, 4, False, drop_last=True))) == 2
    assert len(list(as_loader(data, 5, False, drop_last=True))) == 2
    with pytest.raises(DataError, match=r"has 1\d rows, fewer than batch_size=12, and drop_last"):
        as_loader(data, 12, False, drop_last=True)


def test_a_loader_keeps_its_last_batch() -> None:
    loader = TensorLoader(torch.arange(10), batch_size=4)
    assert as_loader(loader, 4, False, drop_last=True) is loader
