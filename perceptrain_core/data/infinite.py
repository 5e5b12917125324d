"""Rows of tensors without end, in a new random order in each pass."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from perceptrain_core.data.support.private_generator import private_generator
from perceptrain_core.data.tensor_loader import TensorLoader


class InfiniteTensorDataset(IterableDataset[tuple[Tensor, ...]]):
    """Yield rows of the tensors without end, each pass in a new random order.

    Put it into a ``DataLoader`` to get batches; ``to_dataloader(..., infinite=True)`` returns the
    same batches faster. Workers share the rows of each pass among them.

    Args:
        tensors: Tensors of shape ``(N, ...)`` with the same ``N``.
        generator: Draws the random orders, except in workers, which the ``DataLoader`` seeds. By
            default a private generator, which each iteration seeds with one number from torch's
            default generator.

    Raises:
        DataError: No tensors, empty ones, or unequal lengths.
    """

    #: A loader of this data set counts one batch as an epoch.
    infinite = True

    def __init__(self, *tensors: Tensor, generator: torch.Generator | None = None) -> None:
        TensorLoader(*tensors)  # the same checks, in one place
        self.tensors = tensors
        self.generator = generator

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        worker, size = get_worker_info(), len(self.tensors[0])
        if worker is None:
            first, step, generator = 0, 1, self.generator or private_generator()
        else:
            # All draw the same orders and take turns in them, so that none gets ahead of others.
            first, step = worker.id, worker.num_workers
            generator = torch.Generator().manual_seed(worker.seed - worker.id)
        while True:
            order = torch.randperm(size, generator=generator)
            for row in order[first::step].tolist():
                yield tuple(tensor[row] for tensor in self.tensors)
            first = (first - size) % step
