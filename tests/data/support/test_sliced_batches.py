"""A pass that slices has the batches, and draws the random numbers, of torch's own pass."""

from __future__ import annotations

from collections.abc import Iterator
from types import GeneratorType
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
)

from perceptrain import DictDataLoader
from perceptrain_core.data.support.sliced_batches import iterate

sizes = st.integers(1, 40)
flags = st.booleans()


def table(rows: int) -> TensorDataset:
    numbers = torch.arange(rows)
    image = torch.randn(rows, 3, 4, generator=torch.Generator().manual_seed(1)).transpose(1, 2)
    return TensorDataset(numbers, image, (numbers % 3 == 0).unsqueeze(-1), numbers.to(torch.cfloat))


def observed(
    batches: Iterator[Any], generator: torch.Generator | None
) -> Iterator[tuple[Any, Tensor, Tensor]]:
    """Yield the batches, each with the states of the random generators after it."""
    while True:
        batch = next(batches, None)
        own = torch.empty(0) if generator is None else generator.get_state()
        yield batch, torch.get_rng_state(), own
        if batch is None:
            return


@given(
    rows=sizes, size=sizes, shuffle=flags, drop_last=flags, own=flags, seed=st.integers(0, 2**32)
)
def test_batches_and_generators_are_those_of_torch(
    rows: int, size: int, shuffle: bool, drop_last: bool, own: bool, seed: int
) -> None:
    """Two passes, compared after each batch and at the end, with everything drawn until then."""

    def passes(begin: Any) -> Iterator[tuple[Any, Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(seed) if own else None
        loader = DataLoader(
            table(rows), size, shuffle=shuffle, drop_last=drop_last, generator=generator
        )
        for _ in range(2):
            batches = begin(loader)
            yield None, torch.get_rng_state(), torch.empty(0)
            yield from observed(batches, generator)

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sliced = list(passes(iterate))
        torch.manual_seed(seed)
        collated = list(passes(iter))
    assert len(sliced) == len(collated)
    for (mine, *states), (theirs, *expected) in zip(sliced, collated, strict=True):
        assert all(map(torch.equal, states, expected))
        assert type(mine) is type(theirs)
        for one, other in zip(mine or (), theirs or (), strict=True):
            assert one.dtype == other.dtype
            assert one.stride() == other.stride()
            assert torch.equal(one, other)


def test_batches_are_copies_and_follow_changes_of_the_data() -> None:
    data = torch.zeros(6, 1)
    batches = iterate(DataLoader(TensorDataset(data), 2))
    next(batches)[0].fill_(5)
    assert not data.any()
    data.fill_(3)
    assert [batch[0].sum() for batch in batches] == [6, 6]


class Own(TensorDataset):
    def __getitem__(self, index: int) -> Any:
        return tuple(2 * part for part in super().__getitem__(index))


class OwnLoader(DataLoader[Any]):
    pass


class OwnSampler(RandomSampler):
    pass


def plain(**options: Any) -> DataLoader[Any]:
    return DataLoader(**{"dataset": table(8), "batch_size": 3, "shuffle": True} | options)


OTHERS: dict[str, Any] = {
    "rows": lambda: plain(batch_size=None),
    "workers": lambda: plain(num_workers=1),
    "collate": lambda: plain(collate_fn=lambda rows: default_collate(rows)),
    "data set": lambda: plain(dataset=Own(torch.ones(4))),
    "loader": lambda: OwnLoader(table(8), 3),
    "sampler": lambda: plain(shuffle=None, sampler=OwnSampler(range(8))),
    "weighted": lambda: plain(shuffle=None, sampler=WeightedRandomSampler([1.0] * 8, 8)),
    "replacement": lambda: plain(shuffle=None, sampler=RandomSampler(range(8), replacement=True)),
    "fewer": lambda: plain(shuffle=None, sampler=RandomSampler(range(8), num_samples=5)),
    "batches": lambda: DataLoader(
        table(8), batch_sampler=BatchSampler(SequentialSampler(range(8)), 3, False)
    ),
    "graph": lambda: plain(dataset=TensorDataset(torch.ones(4, requires_grad=True))),
    "sparse": lambda: plain(dataset=TensorDataset(torch.eye(4).to_sparse())),
    "pinned": lambda: plain(pin_memory=True),
}


@pytest.mark.filterwarnings("ignore:'pin_memory' argument")
@pytest.mark.parametrize("kind", OTHERS)
def test_any_other_loader_iterates_itself(kind: str) -> None:
    loader = OTHERS[kind]()
    assert isinstance(iterate(plain()), GeneratorType)
    own = type(iterate(loader))
    assert own is not GeneratorType
    assert own is type(iter(loader))


def test_loaders_side_by_side_are_sliced_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shorter one starts again within the epoch."""
    data = TensorDataset(torch.arange(9.0))
    long, short = (DataLoader(data, size, shuffle=True) for size in (2, 4))
    loader = DictDataLoader({"long": long, "short": short})

    def batches() -> list[dict[str, Any]]:
        torch.manual_seed(4)
        return list(loader)

    sliced = batches()
    monkeypatch.setattr("perceptrain_core.data.dict_loader.iterate", iter)
    collated = batches()
    assert len(sliced) == 5
    for one, other in zip(sliced, collated, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in ("long", "short"))
