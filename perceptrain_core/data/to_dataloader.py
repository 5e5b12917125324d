"""Create a loader from tensors or arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from perceptrain_core.data.infinite import InfiniteTensorDataset
from perceptrain_core.data.tensor_loader import TensorLoader
from perceptrain_core.tensors import numpy_to_tensor


def to_dataloader(
    *tensors: Tensor | np.ndarray,
    batch_size: int = 1,
    infinite: bool = False,
    collate_fn: Callable[..., Any] | None = None,
    shuffle: bool = False,
    drop_last: bool = False,
    generator: torch.Generator | None = None,
) -> DataLoader[Any]:
    """Return a loader of tensors or arrays.

    Args:
        tensors: Tensors or NumPy arrays of shape ``(N, ...)`` with the same ``N``. An array that is
            mapped from a file, ``np.load(path, mmap_mode="r")``, is read batch by batch; but with
            ``collate_fn``, which may change rows in place, it is copied to memory first.
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
    if collate_fn is not None:
        tensors = tuple(numpy_to_tensor(t) if isinstance(t, np.ndarray) else t for t in tensors)
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
        dataset = InfiniteTensorDataset(*fast.tensors, generator=generator)
        return DataLoader(
            dataset, batch_size=batch_size, collate_fn=collate_fn, generator=generator
        )
    return DataLoader(
        TensorDataset(*fast.tensors),
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=drop_last,
        generator=generator,
        collate_fn=collate_fn,
    )
