"""Each share is looked at as its process would see it; nothing here needs processes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
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
    Sampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    get_worker_info,
)

from perceptrain.data import (
    DictDataLoader,
    GenerativeIterableDataset,
    InfiniteTensorDataset,
    to_dataloader,
)
from perceptrain.errors import DataError
from perceptrain_core.data import is_infinite
from perceptrain_core.data.tensor_loader import TensorLoader
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


class Turns(IterableDataset[Tensor]):
    """Each worker yields some of the rows."""

    def __iter__(self) -> Any:
        worker: Any = get_worker_info()
        return iter(ROWS[worker.id :: worker.num_workers])


class Shuffling:
    """Shuffles with whatever generator there is, while the model draws from it too."""

    def __iter__(self) -> Any:
        rows = torch.randperm(24).tolist()
        while rows:
            first = [rows.pop(np.random.randint(len(rows))) for _ in range(2)]
            rest = [rows.pop(random.randrange(len(rows))) for _ in range(2)]
            yield ROWS[first + rest]

    def __len__(self) -> int:
        return 6


class OwnOrder(Sampler[int]):
    """Shuffles with a generator of NumPy."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(OWN[0])

    def __iter__(self) -> Any:
        return iter(self.rng.permutation(24).tolist())

    def __len__(self) -> int:
        return 24


#: What a process seeds its own generators with.
OWN = [0]


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
    "iterable with workers": lambda: DataLoader(Turns(), batch_size=4, num_workers=2),
    "shuffling by itself": Shuffling,
    "subset with a generator": lambda: DataLoader(
        dataset(),
        batch_size=4,
        sampler=SubsetRandomSampler(range(24), torch.Generator().manual_seed(OWN[0])),
    ),
    "batch sampler with a generator": lambda: DataLoader(
        dataset(), batch_sampler=BatchSampler(OwnOrder(), 4, False)
    ),
    "shuffled with a generator": lambda: DataLoader(
        dataset(), batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(OWN[0])
    ),
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
        seed(rank)
        share = shard_loader(make(), rank, world_size, even, lambda generator: 7 + epoch)
        batches = []
        for batch in share:
            torch.rand(rank + 1)  # as a model may, which drops out
            batches.append(seen(batch))
        found.append(batches)
    return found


def seed(rank: int) -> None:
    torch.manual_seed(rank)
    np.random.seed(rank)
    random.seed(rank)
    OWN[0] = rank


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("name", LOADERS)
def test_shares_hold_each_row_once(name: str, even: bool, world_size: int) -> None:
    found = shares(LOADERS[name], world_size, even)
    counted = Counter(row for share in found for batch in share for row in batch)
    assert counted == Counter(ROWS.flatten().tolist())
    assert len({len(share) for share in found}) == 1


@pytest.mark.parametrize(
    "name",
    [
        *("shuffled tensors", "shuffled", "subset", "batch sampler", "dict"),
        *("shuffling by itself", "subset with a generator", "batch sampler with a generator"),
    ],
)
def test_each_pass_has_another_order(name: str) -> None:
    assert shares(LOADERS[name], 2, True, epoch=1) != shares(LOADERS[name], 2, True, epoch=2)


@pytest.mark.parametrize("name", ["tensors", "in order", "list", "iterable"])
@pytest.mark.parametrize("even", [True, False])
def test_together_they_are_the_doubled_batch(name: str, even: bool) -> None:
    first, second = shares(LOADERS[name], 2, even)
    both = [sorted(one + other) for one, other in zip(first, second, strict=True)]
    assert both == [batch.flatten().tolist() for batch in ROWS.split(8)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tensors", "in order", "list", "subset", "batch sampler"])
@settings(max_examples=25)
@given(
    rows=st.integers(1, 20),
    batch_size=st.integers(1, 6),
    world_size=st.integers(1, 5),
    drop_last=st.booleans(),
)
def test_shares_of_any_size(
    kind: str, rows: int, batch_size: int, world_size: int, drop_last: bool
) -> None:
    values = torch.arange(float(rows))
    order = {"batch_size": batch_size, "drop_last": drop_last}
    by_rows = kind in ("tensors", "in order", "subset")

    def make() -> Any:
        if kind == "tensors":
            return to_dataloader(values, **order)
        data = TensorDataset(values)
        if kind == "list":
            return list(values.split(batch_size))
        if kind == "batch sampler":
            return DataLoader(data, batch_sampler=BatchSampler(RandomSampler(data), **order))
        return DataLoader(
            data, sampler=SubsetRandomSampler(range(rows)) if kind == "subset" else None, **order
        )

    batches = len(make())
    trained = shares(make, world_size, True)
    counted = Counter(row for share in trained for batch in share for row in batch)
    assert len({len(share) for share in trained}) == 1
    share = shard_loader(make(), 0, world_size, True, lambda generator: 0)
    assert len(share) == len(trained[0])
    if drop_last and by_rows:
        used = rows - rows % (world_size * batch_size)
        assert len(counted) == counted.total() == used
    elif by_rows:
        assert len(counted) == rows
        short = rows % (world_size * batch_size)
        assert counted.total() == rows + (world_size - short if 0 < short < world_size else 0)
    else:
        assert len(trained[0]) == -(-batches // world_size)

    validated = shares(make, world_size, False)
    counted = Counter(row for share in validated for batch in share for row in batch)
    kept = rows - rows % batch_size if drop_last and kind != "list" else rows
    assert len(counted) == counted.total() == kept
    for rank, found in enumerate(validated):
        assert len(found) == len(shard_loader(make(), rank, world_size, False, lambda g: 0))


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


ENDLESS: dict[str, Callable[[], Any]] = {
    "tensors": lambda: to_dataloader(ROWS, batch_size=4, infinite=True),
    "tensors with a generator": lambda: to_dataloader(
        ROWS, batch_size=4, infinite=True, generator=torch.Generator().manual_seed(OWN[0])
    ),
    "collated": lambda: to_dataloader(
        ROWS, batch_size=4, infinite=True, collate_fn=lambda rows: torch.stack([r for (r,) in rows])
    ),
    "data set": lambda: DataLoader(InfiniteTensorDataset(ROWS), batch_size=4),
    "workers": lambda: DataLoader(InfiniteTensorDataset(ROWS), batch_size=4, num_workers=2),
    "dict": lambda: DictDataLoader({"a": to_dataloader(ROWS, batch_size=4, infinite=True)}),
    "dict of data sets": lambda: DictDataLoader(
        {"a": DataLoader(InfiniteTensorDataset(ROWS), batch_size=4)}
    ),
}


def endless_shares(make: Callable[[], Any], world_size: int, steps: int) -> list[list[Any]]:
    found = []
    for rank in range(world_size):
        seed(rank)
        share = shard_loader(make(), rank, world_size, True, lambda generator: 7)
        assert is_infinite(share)
        batches = iter(share)
        drawn = []
        for _ in range(steps):
            torch.rand(rank + 1)  # as a model may, which drops out
            drawn.append(seen(next(batches)))
        found.append(drawn)
    return found


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless_order_is_one_for_all(name: str, world_size: int) -> None:
    """Two passes, in which each row comes once."""
    found = endless_shares(ENDLESS[name], world_size, 12 // world_size)
    in_turn = [row for step in zip(*found, strict=True) for batch in step for row in batch]
    both = in_turn[:24], in_turn[24:]
    assert sorted(both[0]) == sorted(both[1]) == ROWS.flatten().tolist()
    assert both[0] != both[1]


@pytest.mark.parametrize("draws", ["torch", "numpy", "python", "own generator"])
def test_each_process_draws_other_points(draws: str) -> None:
    def make() -> Any:
        own = torch.Generator().manual_seed(1)
        draw = {
            "torch": lambda n: torch.rand(n, 1),
            "numpy": lambda n: torch.from_numpy(np.random.rand(n, 1)),
            "python": lambda n: torch.tensor([[random.random()] for _ in range(n)]),
            "own generator": lambda n: torch.rand(n, 1, generator=own),
        }[draws]
        return DataLoader(GenerativeIterableDataset(draw), batch_size=4)

    found = endless_shares(make, 3, 5)
    points = [point for share in found for batch in share for point in batch]
    assert len(set(points)) == len(points) == 60


def test_any_number_of_processes_continues_an_endless_order() -> None:
    shares = [
        shard_loader(ENDLESS["tensors"](), rank, 2, True, lambda generator: 7) for rank in range(2)
    ]
    drawn: list[float] = []
    for share in shares:
        batches = iter(share)
        drawn += seen(next(batches)) + seen(next(batches))
    states = [share.state_dict() for share in shares]
    assert states[0]["taken"] == states[1]["taken"] == 16
    alone = to_dataloader(ROWS, batch_size=8, infinite=True)
    alone.load_state_dict(states[0])
    drawn += seen(next(iter(alone)))
    assert sorted(drawn) == ROWS.flatten().tolist()


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


@pytest.mark.parametrize("owner", ["loader", "data set", "sampler", "batch sampler"])
def test_a_share_of_its_own_is_kept_until_it_ends_anywhere(owner: str) -> None:
    loader: Any = {
        "loader": lambda: Own(dataset(), batch_size=4),
        "data set": lambda: DataLoader(Numbers(), batch_size=4),
        "sampler": lambda: DataLoader(dataset(), batch_size=4, sampler=OwnOrder()),
        "batch sampler": lambda: DataLoader(
            dataset(), batch_sampler=BatchSampler(OwnOrder(), 4, False)
        ),
    }[owner]()
    part = {"data set": "dataset"}.get(owner, owner.replace(" ", "_"))
    setattr(getattr(loader, part, loader), "sharded", True)  # noqa: B010
    asked: list[bool] = []

    def anywhere(ended: bool) -> bool:
        asked.append(ended)
        return ended or len(asked) > 4  # another process ends after four batches

    share = shard_loader(loader, 1, 2, True, lambda generator: 0, anywhere)
    assert len(list(share)) == 4
    assert asked == [False] * 5
    with pytest.raises(TypeError):
        len(share)
    evaluated = shard_loader(loader, 1, 2, False, lambda generator: 0, anywhere)
    assert sorted(row for batch in evaluated for row in seen(batch)) == ROWS.flatten().tolist()
    assert len(asked) == 5


class OwnRows(list[int]):
    """The rows of one process."""

    sharded = True


def own_share(rank: int) -> DataLoader[Any]:
    return DataLoader(dataset(), batch_size=4, sampler=OwnRows(range(rank, 24, 2)))


def sampled_share(rank: int) -> DataLoader[Any]:
    sampler = DistributedSampler(dataset(), 2, rank, shuffle=False)
    return DataLoader(dataset(), batch_size=4, sampler=sampler)


@pytest.mark.parametrize("make", [own_share, sampled_share])
def test_shares_in_a_dict_are_not_dealt_again_in_validation(make: Callable[..., Any]) -> None:
    found: Counter[tuple[str, float]] = Counter()
    for rank in (0, 1):
        parts = {"rows": make(rank), "nested": DictDataLoader({"inner": make(rank)})}
        for batch in shard_loader(DictDataLoader(parts), rank, 2, False, lambda generator: 0):
            found.update(("rows", row) for row in seen(batch["rows"]))
            found.update(("inner", row) for row in seen(batch["nested"]["inner"]))
    assert found == Counter((n, row) for n in ("rows", "inner") for row in ROWS.flatten().tolist())


def test_a_dict_of_shares_and_others_is_refused_in_validation() -> None:
    mixed = DictDataLoader({"a": own_share(0), "b": DataLoader(dataset(), batch_size=4)})
    message = "'a' has sharded=True; 'b' is not shared yet. Expected the same way for all"
    with pytest.raises(DataError, match=message):
        shard_loader(mixed, 0, 2, False, lambda generator: 0)
    trained = shard_loader(mixed, 0, 2, True, lambda generator: 0)
    assert len(list(trained)) == 3


def test_a_distributed_sampler_in_any_loader_is_kept() -> None:
    sampler = DistributedSampler(dataset(), 2, 1, shuffle=False)
    batches = BatchSampler(sampler, 4, False)
    loader = DataLoader(dataset(), batch_sampler=batches)
    share = shard_loader(loader, 1, 2, True, lambda generator: 5)
    assert [seen(batch) for batch in share] == [seen(batch) for batch in loader]
    assert len(share) == 3


def test_the_sampler_of_a_tensor_loader_is_used() -> None:
    make = lambda: TensorLoader(ROWS, batch_size=2, sampler=[5, 3, 8, 1])  # noqa: E731
    assert shares(make, 2, True) == [[[5.0, 8.0]], [[3.0, 1.0]]]
    assert shares(make, 2, False) == [[[5.0, 3.0]], [[8.0, 1.0]]]
