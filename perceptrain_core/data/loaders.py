"""Create a loader from tensors, and ask a loader for its length."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, cycle, repeat
from operator import length_hint
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from perceptrain_core.data.infinite import InfiniteTensorDataset
from perceptrain_core.data.tensor_loader import TensorLoader
from perceptrain_core.types import Loader


def to_dataloader(
    *tensors: Tensor,
    batch_size: int = 1,
    infinite: bool = False,
    collate_fn: Callable[..., Any] | None = None,
    shuffle: bool = False,
    drop_last: bool = False,
    generator: torch.Generator | None = None,
) -> DataLoader[Any]:
    """Return a loader of tensors in memory.

    Args:
        tensors: Tensors of shape ``(N, ...)`` with the same ``N``.
        batch_size: Rows in a batch.
        infinite: Never end; rows come in a new random order at each pass, all batches are full,
            and one epoch of training is one batch.
        collate_fn: Builds a batch from a list of rows, which are then read one by one.
        shuffle: A new random order at each pass of a finite loader.
        drop_last: Leave out a last batch that is not full.
        generator: The generator of random orders; torch's default generator if ``None``.

    Returns:
        A loader of tuples, one tensor of shape ``(batch_size, ...)`` for each tensor given.

    Raises:
        DataError: No tensors, empty ones, unequal lengths, or a ``batch_size`` below 1.
    """
    fast = TensorLoader(
        *tensors,
        batch_size=batch_size,
        shuffle=shuffle,
        infinite=infinite,
        drop_last=drop_last,
        generator=generator,
    )
    if collate_fn is None:
        return fast
    if infinite:
        dataset = InfiniteTensorDataset(*tensors, generator=generator)
        return DataLoader(
            dataset, batch_size=batch_size, collate_fn=collate_fn, generator=generator
        )
    return DataLoader(
        TensorDataset(*tensors),
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=drop_last,
        generator=generator,
        collate_fn=collate_fn,
    )


def is_infinite(loader: Loader | None) -> bool:
    """Whether a loader declares that it never ends, so that one step is one epoch.

    True for a loader, or a data set in it, with a true attribute ``infinite``, and for
    ``itertools.cycle``, ``count`` and endless ``repeat``.
    """
    if getattr(loader, "infinite", False):
        return True
    if getattr(getattr(loader, "dataset", None), "infinite", False):
        return True
    if isinstance(loader, repeat):
        return length_hint(loader, -1) < 0
    return isinstance(loader, (cycle, count))


def length_of(data: Any) -> int | None:
    """Return the length of a loader or data set, or ``None`` if it has none."""
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return None
