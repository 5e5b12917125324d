"""Each share is looked at as its process would see it; nothing here needs processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from perceptrain.data import DictDataLoader, InfiniteTensorDataset, to_dataloader
from perceptrain_core.engine.sharding import shard_loader

ROWS = torch.arange(24.0).reshape(-1, 1)


class Numbers(IterableDataset[Tensor]):
    def __iter__(self) -> Any:
        return iter(ROWS)


class Own(DataLoader[Any]):
    """A loader that makes its batches in its own way."""

    def __iter__(self) -> Any:
        return iter(ROWS.split(4))

    def __len__(self) -> int:
        return 6


def dataset() -> TensorDataset:
    return TensorDataset(ROWS)


LOADERS: dict[str, Callable[[], Any]] = {
    "tensors": lambda: to_dataloader(ROWS, batch_size=4),
    "shuffled tensors": lambda: to_dataloader(ROWS, batch_size=4, shuffle=True),
    "in order": lambda: DataLoader(dataset(), batch_size=4),
    "shuffled": lambda: DataLoader(dataset(), batch_size=4, shuffle=True),
    "subset": lambda: DataLoader(dataset(), batch_size=4, sampler=SubsetRandomSampler(range(24))),
    "batch sampler": lambda: DataLoader(
        dataset(), batch_sampler=BatchSampler(RandomSampler(dataset()), 4, False)
    ),
    "rows": lambda: DataLoader(dataset(), batch_size=None, shuffle=True),
    "iterable": lambda: DataLoader(Numbers(), batch_size=4),
    "list": lambda: list(ROWS.split(4)),
    "own class": lambda: Own(dataset(), batch_size=4),
    "dict": lambda: DictDataLoader({"a": to_dataloader(ROWS, batch_size=4, shuffle=True)}),
}


def seen(batch: Any) -> list[float]:
    if isinstance(batch, dict):
        (batch,) = batch.values()
    tensor = batch[0] if isinstance(batch, tuple | list) else batch
    return tensor.flatten().tolist()


def shares(make: Callable[[], Any], world_size: int, even: bool, epoch: int = 0) -> list[Any]:
    """Give the batches of each process, which has random numbers of its own."""
    found = []
    for rank in range(world_size):
        torch.manual_seed(rank)
        share = shard_loader(make(), rank, world_size, even, lambda generator: 7 + epoch)
        found.append([seen(batch) for batch in share])
    return found


@pytest.mark.parametrize("world_size", [2, 3])
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("name", LOADERS)
def test_shares_hold_each_row_once(name: str, even: bool, world_size: int) -> None:
    found = shares(LOADERS[name], world_size, even)
    counted = Counter(row for share in found for batch in share for row in batch)
    assert counted == Counter(ROWS.flatten().tolist())
    assert len({len(share) for share in found}) == 1


@pytest.mark.parametrize(
    "name", ["shuffled tensors", "shuffled", "subset", "batch sampler", "dict"]
)
def test_each_pass_has_another_order(name: str) -> None:
    assert shares(LOADERS[name], 2, True, epoch=1) != shares(LOADERS[name], 2, True, epoch=2)


@pytest.mark.parametrize("name", ["tensors", "in order", "list", "iterable"])
@pytest.mark.parametrize("even", [True, False])
def test_together_they_are_the_doubled_batch(name: str, even: bool) -> None:
    first, second = shares(LOADERS[name], 2, even)
    both = [sorted(one + other) for one, other in zip(first, second, strict=True)]
    assert both == [batch.flatten().tolist() for batch in ROWS.split(8)]


@pytest.mark.parametrize("kind", ["tensors", "in order", "list", "subset"])
@settings(max_examples=40)
@given(rows=st.integers(1, 20), batch_size=st.integers(1, 6), world_size=st.integers(2, 4))
def test_shares_of_any_size(kind: str, rows: int, batch_size: int, world_size: int) -> None:
    values = torch.arange(float(rows))
    whole = set(values.tolist())

    def make() -> Any:
        if kind == "tensors":
            return to_dataloader(values, batch_size=batch_size)
        if kind == "list":
            return list(values.split(batch_size))
        sampler = SubsetRandomSampler(range(rows)) if kind == "subset" else None
        return DataLoader(TensorDataset(values), batch_size=batch_size, sampler=sampler)

    trained = shares(make, world_size, True)
    assert len({len(share) for share in trained}) == 1
    assert {row for share in trained for batch in share for row in batch} == whole
    validated = shares(make, world_size, False)
    assert Counter(r for share in validated for batch in share for r in batch) == Counter(whole)
    share = shard_loader(make(), 1, world_size, True, lambda generator: 0)
    assert len(share) == len(trained[1])


def test_last_batches_are_left_out_where_the_loader_does() -> None:
    found = shares(lambda: to_dataloader(ROWS[:23], batch_size=4, drop_last=True), 2, True)
    assert [[len(batch) for batch in share] for share in found] == [[4, 4], [4, 4]]


def test_infinite_loaders_stay_infinite() -> None:
    for make in (
        lambda: to_dataloader(ROWS, batch_size=4, infinite=True),
        lambda: DataLoader(InfiniteTensorDataset(ROWS), batch_size=4),
    ):
        share = shard_loader(make(), 1, 2, True, lambda generator: 0)
        assert share.infinite
        assert len(list(islice(share, 20))) == 20


def test_a_sampler_that_knows_of_processes_keeps_its_share() -> None:
    sampler = DistributedSampler(dataset(), 2, 1, shuffle=True)
    loader = DataLoader(dataset(), batch_size=4, sampler=sampler)
    share = shard_loader(loader, 1, 2, True, lambda generator: 5)
    first = [seen(batch) for batch in share]
    assert sampler.epoch == 5
    assert first == [seen(batch) for batch in loader]


def test_weighted_rows_are_dealt_out() -> None:
    sampler = WeightedRandomSampler([1.0] * 12 + [0.0] * 12, 16)
    make = lambda: DataLoader(dataset(), batch_size=4, sampler=sampler)  # noqa: E731
    first, second = shares(make, 2, True)
    assert len(first) == len(second) == 2
    assert max(row for share in (first, second) for batch in share for row in batch) < 12
