"""The batches of a plain ``DataLoader`` of tensors, sliced instead of collated row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    default_collate,
)

from perceptrain_core.data.support.chosen_rows import ChosenRows
from perceptrain_core.data.support.private_generator import private_generator
from perceptrain_core.types import Loader


def iterate(loader: Loader) -> Iterator[Any]:
    """Begin a pass over a loader.

    If the loader is a ``DataLoader`` of a ``TensorDataset`` with the samplers and the collation of
    torch, the rows of a batch are gathered at once. Batches, their order, and the numbers drawn
    from random generators are the same, and are drawn at the same moments. Any other loader is
    iterated as it is.

    Args:
        loader: The loader.
    """
    started = iter(loader)  # a DataLoader draws a seed for workers, even if it has none
    if not isinstance(loader, DataLoader) or not _can_be_sliced(loader):
        return started
    return _sliced(loader)


def _can_be_sliced(loader: DataLoader[Any]) -> bool:
    # Subclasses may do anything, so the types are compared.
    return (
        type(loader) is DataLoader
        and type(loader.dataset) is TensorDataset
        and type(loader.batch_sampler) is BatchSampler
        and loader.batch_size is not None  # the batch sampler is not the user's
        and loader.collate_fn is default_collate
        and loader.num_workers == 0
        and not loader.pin_memory
        and _is_plain(loader.sampler)
        and all(map(_is_plain_tensor, loader.dataset.tensors))
    )


def _is_plain(sampler: Any) -> bool:
    if type(sampler) in (SequentialSampler, ChosenRows):
        return True
    whole = type(sampler) is RandomSampler and sampler.num_samples == len(sampler.data_source)
    return whole and not sampler.replacement


def _is_plain_tensor(tensor: Tensor) -> bool:
    # Rows that require gradients have a graph, which depends on how they are joined.
    strided = tensor.layout is torch.strided and not tensor.is_nested and not tensor.is_quantized
    return type(tensor) is Tensor and strided and not tensor.requires_grad


def _sliced(loader: DataLoader[Any]) -> Iterator[list[Tensor]]:
    dataset: Any = loader.dataset
    for rows in _rows_of_batches(loader.sampler, loader.batch_size or 1, loader.drop_last):
        yield [tensor.index_select(0, rows.to(tensor.device)) for tensor in dataset.tensors]


def _rows_of_batches(sampler: Any, size: int, drop_last: bool) -> Iterator[Tensor]:
    """Yield the numbers of the rows of each batch, as torch's samplers do."""
    if isinstance(sampler, ChosenRows):
        rows = sampler.rows
        end = len(rows) - len(rows) % size if drop_last else len(rows)
        yield from (rows[start : min(start + size, end)] for start in range(0, end, size))
        return
    count = len(sampler.data_source)
    whole = count - count % size
    if isinstance(sampler, SequentialSampler):
        for start in range(0, whole, size):
            yield torch.arange(start, start + size)
        rest = torch.arange(whole, count)
    else:
        order = torch.randperm(count, generator=sampler.generator or private_generator())
        for start in range(0, whole, size):
            yield order[start : start + size]
        rest = order[whole:]
        if sampler.generator is not None:
            # torch's sampler draws another order at its end, of which it uses no row.
            torch.randperm(count, generator=sampler.generator)
    if len(rest) and not drop_last:
        yield rest
