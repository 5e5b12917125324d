"""The share of a loader that one of several processes gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeAlias

import torch
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
)

from perceptrain_core.data.dict_loader import DictDataLoader
from perceptrain_core.data.support.loader_length import is_infinite
from perceptrain_core.data.tensor_loader import TensorLoader
from perceptrain_core.types import Loader

#: Draws a number from a generator (``None`` is torch's own), the same in all processes.
Draw: TypeAlias = Callable[[torch.Generator | None], int]

# The arguments of a DataLoader, apart from the order of its rows.
_SETTINGS = (
    *("num_workers", "collate_fn", "pin_memory", "timeout", "worker_init_fn", "generator"),
    *("multiprocessing_context", "prefetch_factor", "persistent_workers"),
)


def shard_loader(loader: Loader, rank: int, world_size: int, even: bool, draw: Draw) -> Loader:
    """Return the share of a process; all processes must iterate at the same time.

    In training, all shares have the same number of batches. The rows are distributed if they can be
    read from the loader, otherwise whole batches. If they cannot be shared evenly, a few are
    repeated, or with ``drop_last`` left out. In validation, whole batches are distributed, each to
    exactly one process.

    Args:
        loader: A loader, the same in all processes. If it uses a ``DistributedSampler``, that
            sampler is kept, and gets a new order in each pass.
        rank: The rank of this process, counted from 0.
        world_size: The number of processes.
        even: Whether all shares must have the same number of batches, as in training.
        draw: Draws the seed of the random order of a pass.
    """
    if type(loader) is DictDataLoader:
        # In validation the loaders stay whole, and their dicts of batches are distributed.
        place = (rank, world_size) if even else (0, 1)
        parts = loader.dataloaders.items()
        shares = DictDataLoader({n: shard_loader(p, *place, True, draw) for n, p in parts})
        return shares if even else _Dealt(shares, rank, world_size, even)
    if not isinstance(loader, DataLoader) or not _knows_its_rows(loader):
        return _Dealt(loader, rank, world_size, even)
    if isinstance(loader.sampler, DistributedSampler):
        return _Reordered(loader, loader.sampler, loader.generator, draw)
    plain = _has_plain_order(loader)
    if even and plain:
        return _by_rows(loader, rank, world_size, draw)
    if isinstance(loader, TensorLoader) or loader.batch_sampler is None:
        whole = _by_rows(loader, 0, 1, draw) if plain else loader
        return _Dealt(whole, rank, world_size, even)
    order = _DealtBatches(loader.batch_sampler, rank, world_size, even)
    return _Reordered(_remade(loader, batch_sampler=order), order, loader.generator, draw)


def _knows_its_rows(loader: DataLoader[Any]) -> bool:
    if is_infinite(loader) or isinstance(loader.dataset, IterableDataset):
        return False
    # A subclass may build its batches in another way.
    known = type(loader) in (DataLoader, TensorLoader)
    return known and (hasattr(loader.batch_sampler, "__len__") or _has_plain_order(loader))


def _has_plain_order(loader: DataLoader[Any]) -> bool:
    sampler: Any = loader.sampler
    if loader.batch_sampler is not None and loader.batch_size is None:
        return False  # a batch sampler of the user
    if isinstance(loader, TensorLoader) or type(sampler) is SequentialSampler:
        return True
    rows = len(loader.dataset)  # type: ignore[arg-type]
    whole = type(sampler) is RandomSampler and sampler.num_samples == rows
    return whole and not sampler.replacement


def _by_rows(loader: DataLoader[Any], rank: int, world_size: int, draw: Draw) -> Loader:
    rows: Any = loader.dataset
    shuffle = isinstance(loader.sampler, RandomSampler)
    sampler = DistributedSampler[Any](
        rows, world_size, rank, shuffle=shuffle, drop_last=loader.drop_last
    )
    if isinstance(loader, TensorLoader):
        share: DataLoader[Any] = TensorLoader(
            *loader.tensors,
            batch_size=loader.batch_size or 1,
            drop_last=loader.drop_last,
            sampler=sampler,
        )
    else:
        share = _remade(
            loader, sampler=sampler, batch_size=loader.batch_size, drop_last=loader.drop_last
        )
    return _Reordered(share, sampler, loader.generator, draw) if shuffle else share


def _remade(loader: DataLoader[Any], **order: Any) -> DataLoader[Any]:
    return DataLoader(loader.dataset, **order, **{n: getattr(loader, n) for n in _SETTINGS})


class _Reordered:
    """A loader whose sampler gets a new seed at each pass, the same in all processes."""

    def __init__(
        self, loader: Loader, sampler: Any, generator: torch.Generator | None, draw: Draw
    ) -> None:
        self.loader: Any = loader
        self.sampler = sampler
        self.generator = generator
        self._draw = draw

    def __iter__(self) -> Iterator[Any]:
        self.sampler.set_epoch(self._draw(self.generator))
        return iter(self.loader)

    def __len__(self) -> int:
        return len(self.loader)


class _DealtBatches(Sampler[list[int]]):
    """The share of the batches of a batch sampler; rows of other shares are never loaded."""

    def __init__(self, batches: Any, rank: int, world_size: int, even: bool) -> None:
        self.batches = batches
        self._share = rank, world_size, even
        self._seed = 0

    def set_epoch(self, seed: int) -> None:
        self._seed = seed

    def __iter__(self) -> Iterator[list[int]]:
        # All processes must use the same order, but their random states differ.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            order = list(self.batches)
        return _deal(order, *self._share)

    def __len__(self) -> int:
        return _share_of(len(self.batches), *self._share)


class _Dealt:
    """The share of the batches of any loader; batches of other processes are skipped."""

    def __init__(self, loader: Loader, rank: int, world_size: int, even: bool) -> None:
        self.loader: Any = loader
        self.infinite = is_infinite(loader)
        self.generator = getattr(loader, "generator", None)
        self._share = rank, world_size, even

    def __iter__(self) -> Iterator[Any]:
        return _deal(self.loader, *self._share)

    def __len__(self) -> int:
        return _share_of(len(self.loader), *self._share)


def _deal(batches: Any, rank: int, world_size: int, even: bool) -> Iterator[Any]:
    """Yield one batch of each round; if the last round is not full, its batches are repeated."""
    stream = iter(batches)
    while round_ := list(islice(stream, world_size)):
        if rank < len(round_):
            yield round_[rank]
        elif even:
            yield round_[rank % len(round_)]


def _share_of(batches: int, rank: int, world_size: int, even: bool) -> int:
    return -(-(batches if even else batches - rank) // world_size)
