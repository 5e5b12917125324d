"""The randomness that belongs to a loader: found, saved, put back, and told the epoch."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from perceptrain import DictDataLoader, to_dataloader
from perceptrain_core.checkpoints.file import read_file, write_file
from perceptrain_core.data.position.generators import (
    epoch_listeners,
    loader_random_state,
    seed_generators,
    set_loader_random_state,
)

X = torch.arange(12.0).reshape(12, 1)
ROWS = TensorDataset(X)


def own() -> torch.Generator:
    return torch.Generator().manual_seed(3)


class Noisy(Dataset):  # type: ignore[type-arg]
    """Rows with noise from a generator of the data set."""

    def __init__(self, rng: Any) -> None:
        self.rng = rng

    def __len__(self) -> int:
        return 12

    def __getitem__(self, i: int) -> float:
        if isinstance(self.rng, torch.Generator):
            return i + torch.rand((), generator=self.rng).item()
        return i + float(self.rng.random())


class Prefetcher:
    """A loader of somebody's own around another."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __iter__(self) -> Any:
        return iter(self.loader)


NOISE = {
    "torch": own,
    "PCG64": lambda: np.random.default_rng(3),
    "MT19937": lambda: np.random.Generator(np.random.MT19937(3)),
    "Philox": lambda: np.random.Generator(np.random.Philox(3)),
    "SFC64": lambda: np.random.Generator(np.random.SFC64(3)),
    "RandomState": lambda: np.random.RandomState(3),
    "Random": lambda: random.Random(3),
}
LOADERS: dict[str, Any] = {
    "to_dataloader": lambda: to_dataloader(X, batch_size=5, shuffle=True, generator=own()),
    "DataLoader": lambda: DataLoader(ROWS, 5, shuffle=True, generator=own()),
    "replacement": lambda: DataLoader(ROWS, 5, sampler=RandomSampler(ROWS, True, 9, own())),
    "subset": lambda: DataLoader(ROWS, 5, sampler=SubsetRandomSampler(range(9), own())),
    "weighted": lambda: DataLoader(
        ROWS, 5, sampler=WeightedRandomSampler([1.0] * 12, 9, generator=own())
    ),
    "batch sampler": lambda: DataLoader(
        ROWS, batch_sampler=BatchSampler(RandomSampler(ROWS, generator=own()), 5, False)
    ),
    "in a dict": lambda: DictDataLoader(
        {"a": [X], "b": DictDataLoader({"c": to_dataloader(X, shuffle=True, generator=own())})}
    ),
    "wrapped": lambda: Prefetcher(to_dataloader(X, shuffle=True, generator=own())),
    "subset of noisy rows": lambda: DataLoader(Subset(Noisy(own()), range(5))),
    "noisy rows one after another": lambda: DataLoader(ConcatDataset([Noisy(own()), ROWS])),
    "noisy rows side by side": lambda: DataLoader(StackDataset(a=Noisy(own()), b=X)),
} | {name: lambda make=make: DataLoader(Noisy(make()), 5) for name, make in NOISE.items()}


def passed(loader: Any) -> str:
    return str(list(loader))


@pytest.mark.parametrize("kind", LOADERS)
def test_a_loader_gives_the_same_again(kind: str, tmp_path: Path) -> None:
    loader = LOADERS[kind]()
    passed(loader)
    state = loader_random_state(loader)
    assert len(state) == 1
    path = write_file(tmp_path / "state.pt", {"loader": state})
    expected = [passed(loader), passed(loader)]
    assert expected[0] != expected[1]
    for other in (loader, LOADERS[kind]()):
        set_loader_random_state(other, read_file(path)["loader"])
        torch.rand(3)
        assert [passed(other), passed(other)] == expected


def test_one_generator_in_several_places_counts_once() -> None:
    one, two = own(), own()
    loader = to_dataloader(X, shuffle=True, generator=one)
    other = DataLoader(Noisy(two), shuffle=True, generator=one)
    assert len(loader_random_state({"a": loader, "b": other})) == 2


def test_nothing_of_its_own() -> None:
    rows = Noisy(random.SystemRandom())
    for without in (None, X, (X, X), [X], {"a": X}, iter([X]), to_dataloader(X), ROWS, rows):
        assert loader_random_state(without) == []
        set_loader_random_state(without, [])


def test_the_state_of_another_loader_changes_nothing() -> None:
    loader = LOADERS["PCG64"]()
    state = loader_random_state(loader)
    passed(loader)
    before = loader_random_state(loader)
    for kind in ("torch", "MT19937", "Random"):
        set_loader_random_state(loader, loader_random_state(LOADERS[kind]()))
    set_loader_random_state(loader, [])
    set_loader_random_state(loader, state * 2)
    assert loader_random_state(loader) == before
    set_loader_random_state(loader, state)
    assert loader_random_state(loader) == state


def distributed() -> Any:
    return DistributedSampler(ROWS, num_replicas=2, rank=0, shuffle=True, seed=1)


class Shards(IterableDataset):  # type: ignore[type-arg]
    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Any:
        order = torch.randperm(12, generator=torch.Generator().manual_seed(self.epoch))
        return iter(order.tolist())


EPOCHS: dict[str, Any] = {
    "sampler": lambda: DataLoader(ROWS, 2, sampler=distributed()),
    "batch sampler": lambda: DataLoader(
        ROWS, batch_sampler=BatchSampler(distributed(), 2, drop_last=False)
    ),
    "data set": lambda: DataLoader(Shards(), 4),
    "data set with workers": lambda: DataLoader(Shards(), 4, num_workers=1),
    "in a dict": lambda: DictDataLoader({"a": [X], "b": DataLoader(ROWS, sampler=distributed())}),
    "wrapped": lambda: Prefetcher(DataLoader(ROWS, sampler=distributed())),
}


@pytest.mark.parametrize("kind", EPOCHS)
def test_each_epoch_has_an_order_of_its_own(kind: str) -> None:
    loader = EPOCHS[kind]()
    assert passed(loader) == passed(loader)
    orders = []
    for epoch in (0, 1, 2, 1):
        for told in epoch_listeners(loader):
            told(epoch)
        orders.append(passed(loader))
    assert len(set(orders[:3])) == 3
    assert orders[3] == orders[1]


def test_what_takes_no_epoch() -> None:
    for without in (None, X, (X, X), [X], {"a": X}, iter([X]), to_dataloader(X)):
        assert epoch_listeners(without) == []


def test_generators_are_seeded_by_number() -> None:
    class Owner:
        def __init__(self) -> None:
            self.of_torch = torch.Generator()
            self.of_numpy = np.random.default_rng(5)
            self.legacy = np.random.RandomState(5)
            self.of_python = random.Random(5)

    def drawn(owner: Owner) -> list[float]:
        return [
            float(torch.rand((), generator=owner.of_torch)),
            float(owner.of_numpy.random()),
            float(owner.legacy.rand()),
            owner.of_python.random(),
        ]

    one, other = Owner(), Owner()
    before = drawn(one)
    for owner in (one, other):
        seed_generators(owner, 2**61)
    first = drawn(one)
    assert first == drawn(other)
    assert not set(first) & set(before)
    assert len(set(first)) == 4
    seed_generators(one, 2**61)
    assert drawn(one) == first
