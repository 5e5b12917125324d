"""Rows of tensors without end, every row before any is seen again."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from perceptrain_core.data.tensor_loader import TensorLoader


class InfiniteTensorDataset(IterableDataset[tuple[Tensor, ...]]):
    """Give rows of the tensors for ever, each pass in a new random order.

    Put it into a ``DataLoader`` to get batches; ``to_dataloader(..., infinite=True)`` gives the
    same batches faster. With workers, each takes its own share of the rows.

    Args:
        tensors: Tensors of shape ``(N, ...)`` with the same ``N``.

    Raises:
        DataError: No tensors, empty ones, or unequal lengths.
    """

    #: A loader of this data set counts one batch as an epoch.
    infinite = True

    def __init__(self, *tensors: Tensor) -> None:
        TensorLoader(*tensors)  # the same demands, checked in one place
        self.tensors = tensors

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        rows = torch.arange(first, len(self.tensors[0]), step)
        while len(rows):
            for row in rows[torch.randperm(len(rows))].tolist():
                yield tuple(tensor[row] for tensor in self.tensors)
