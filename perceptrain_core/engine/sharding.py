"""The share of a loader that one of several processes gets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    IterableDataset,
    SequentialSampler,
)

from perceptrain_core.data.dict_loader import DictDataLoader, NamedLoader
from perceptrain_core.data.position.generators import parts_of
from perceptrain_core.data.support.loader_length import is_infinite
from perceptrain_core.data.tensor_loader import TensorLoader
from perceptrain_core.engine.endless_share import EndlessShare
from perceptrain_core.engine.kept_share import Anywhere, KeptShare
from perceptrain_core.engine.shares import BatchShare, Draw, Place, RowShare, StreamShare
from perceptrain_core.errors import DataError
from perceptrain_core.types import Loader

_WHOLE = "is not shared yet"

# The arguments of a DataLoader, apart from the order of its rows.
_SETTINGS = (
    *("num_workers", "collate_fn", "pin_memory", "timeout", "worker_init_fn", "generator"),
    *("multiprocessing_context", "prefetch_factor", "persistent_workers"),
)


def shard_loader(
    loader: Loader,
    rank: int,
    world_size: int,
    even: bool,
    draw: Draw,
    anywhere: Anywhere = bool,
) -> Loader:
    """Return the share of a process; all processes must iterate at the same time.

    In training, all shares have the same number of batches. The rows are dealt to the processes
    in turn if they can be read from the loader, otherwise whole batches. If the last round has
    fewer than there are processes, a few are repeated, or with ``drop_last`` left out. In
    validation, whole batches are distributed, each to exactly one process.

    Args:
        loader: A loader, the same in all processes; its random order need not be. If it uses a
            ``DistributedSampler``, or it, its data set or its sampler has a true attribute
            ``sharded``, it yields the share of this process, and is kept; so are the parts of a
            `DictDataLoader`.
        rank: The rank of this process, counted from 0.
        world_size: The number of processes.
        even: Whether all shares must have the same number of batches, as in training.
        draw: Draws the seed of the random order of a pass.
        anywhere: Whether something is true in any process.

    Raises:
        DataError: In validation, only some parts of a `DictDataLoader` are shares already.
    """
    place = Place(rank, world_size, even)
    if type(loader) is DictDataLoader:
        parts = loader.dataloaders
        if not even and _are_shares(parts):
            given = parts.items()
            return DictDataLoader(
                {n: shard_loader(p, rank, world_size, False, draw) for n, p in given}
            )
        # In validation the loaders stay whole, and their dicts of batches are distributed.
        own = (rank, world_size) if even else (0, 1)
        shares = {n: shard_loader(p, *own, True, draw, anywhere) for n, p in parts.items()}
        whole = DictDataLoader(shares)
        return whole if even else StreamShare(whole, place, draw)
    if type(loader) is NamedLoader:
        rows = shard_loader(loader.loader, rank, world_size, even, draw, anywhere)
        return NamedLoader(loader.names, rows)
    if (kept := _kept(loader, even, draw, anywhere)) is not None:
        return kept
    if type(loader) is TensorLoader and loader.infinite:
        return EndlessShare(loader, place, draw)
    if not isinstance(loader, DataLoader) or not _knows_its_rows(loader):
        return StreamShare(loader, place, draw)
    if _has_own_batches(loader):
        remade = lambda batches: _remade(loader, batch_sampler=batches)  # noqa: E731
        return BatchShare(loader, place, draw, remade, partial(_batches_of, loader))
    return RowShare(loader, place, draw, partial(_with_sampler, loader), partial(_rows_of, loader))


def _are_shares(parts: Mapping[str, Any]) -> bool:
    """Whether all parts of a dict yield the share of their process already; ``False`` if none does.

    Other dicts are refused: a part would restart at another batch in each process, and the
    exchange that draws its new order would wait for the others.
    """
    kinds = {name: _kinds_of_share(part) for name, part in parts.items()}
    every = set().union(*kinds.values())
    if len(every) > 1:
        found = "; ".join(f"{name!r} {' and '.join(sorted(kinds[name]))}" for name in kinds)
        raise DataError(
            "Validation in several processes: the parts of a DictDataLoader are shared in "
            f"different ways: {found}. Expected the same way for all. Leave the sharing to the "
            "trainer in all parts, or give all of them a DistributedSampler, or sharded=True."
        )
    return every != {_WHOLE}


def _kinds_of_share(loader: Any) -> set[str]:
    if type(loader) is DictDataLoader:
        return set().union(*map(_kinds_of_share, loader.dataloaders.values()))
    if type(loader) is NamedLoader:
        return _kinds_of_share(loader.loader)
    if _distributed_sampler(loader) is not None:
        return {"has a DistributedSampler"}
    return {"has sharded=True"} if _is_sharded(loader) else {_WHOLE}


def _kept(loader: Any, even: bool, draw: Draw, anywhere: Anywhere) -> Loader | None:
    """Return a loader that yields the share of its process already, ``None`` for others."""
    if (sampler := _distributed_sampler(loader)) is not None:
        generator = getattr(loader, "generator", None)
        return KeptShare(loader, reorder=partial(_reorder, sampler, generator, draw))
    return KeptShare(loader, anywhere if even else None) if _is_sharded(loader) else None


def _distributed_sampler(loader: Any) -> DistributedSampler[Any] | None:
    batches = getattr(loader, "batch_sampler", None)
    samplers = getattr(loader, "sampler", None), batches, getattr(batches, "sampler", None)
    return next((s for s in samplers if isinstance(s, DistributedSampler)), None)


def _is_sharded(loader: Any) -> bool:
    return any(getattr(part, "sharded", False) is True for part in parts_of(loader))


def _reorder(
    sampler: DistributedSampler[Any], generator: torch.Generator | None, draw: Draw
) -> None:
    sampler.set_epoch(draw(generator))


def _knows_its_rows(loader: DataLoader[Any]) -> bool:
    if is_infinite(loader) or isinstance(loader.dataset, IterableDataset):
        return False
    # A subclass may build its batches in another way.
    known = type(loader) in (DataLoader, TensorLoader)
    return known and (not _has_own_batches(loader) or hasattr(loader.batch_sampler, "__len__"))


def _has_own_batches(loader: DataLoader[Any]) -> bool:
    """Whether a loader has a batch sampler of the user."""
    return loader.batch_sampler is not None and loader.batch_size is None


def _with_sampler(loader: DataLoader[Any], sampler: Any) -> DataLoader[Any]:
    order = {"batch_size": loader.batch_size, "drop_last": loader.drop_last, "sampler": sampler}
    if isinstance(loader, TensorLoader):
        return TensorLoader(*loader.tensors, **order)
    return _remade(loader, **order)


def _remade(loader: DataLoader[Any], **order: Any) -> DataLoader[Any]:
    return DataLoader(loader.dataset, **order, **{n: getattr(loader, n) for n in _SETTINGS})


def _rows_of(loader: DataLoader[Any]) -> Tensor:
    """Return the rows of the next pass, with the random numbers that the loader would draw."""
    if isinstance(loader, TensorLoader):
        return loader.draw_order()
    if type(loader.sampler) is SequentialSampler:
        return torch.arange(len(loader.sampler))
    _draw_seed_of_workers(loader)
    return torch.from_numpy(np.fromiter(loader.sampler, np.int64))


def _batches_of(loader: DataLoader[Any]) -> list[list[int]]:
    """Return the batches of rows of the next pass, as `_rows_of` does."""
    _draw_seed_of_workers(loader)
    return list(loader.batch_sampler)  # type: ignore[arg-type]


def _draw_seed_of_workers(loader: DataLoader[Any]) -> None:
    """Draw the number that a loader draws at the start of a pass, even if it has no workers."""
    torch.empty((), dtype=torch.int64).random_(generator=loader.generator)
