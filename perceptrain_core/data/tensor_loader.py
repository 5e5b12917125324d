"""A loader for tensors and arrays: it slices batches instead of collating rows one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from perceptrain_core.data.position.endless_order import EndlessOrder
from perceptrain_core.data.support.graphs import as_leaves
from perceptrain_core.data.support.rows import as_rows, is_mapped, slice_rows
from perceptrain_core.errors import DataError
from perceptrain_core.option_checks import number_faults, refuse

# What is gathered at a time: many batches share one index_select, and memory stays bounded.
_BLOCK_ROWS = 8192
_BLOCK_BATCHES = 64
_BLOCK_BYTES = 2**24


class TensorLoader(DataLoader[tuple[Tensor, ...]]):
    """Batches of tensors whose first dimensions agree, cut by slicing.

    It has the attributes and the length of a ``DataLoader``, but slices its batches: it is several
    times faster for small batches, and has no workers.

    Args:
        tensors: One or more tensors of shape ``(N, ...)``, of any dtype and on any device, or
            NumPy arrays. An array in memory is copied; of an array that is mapped from a file,
            ``np.load(path, mmap_mode="r")``, only the rows of some batches are read at a time.
        batch_size: Rows in a batch; the last one of a pass may be shorter.
        shuffle: A new random order at each pass.
        infinite: Never end. Passes follow each other without a gap, each in a new random order
            (every row is seen before any is seen again), all batches are full, and one epoch of
            training is one batch.
        drop_last: Drop the last batch if it is not full.
        generator: Draws the random orders; by default torch's default generator, from which an
            infinite loader draws only one number, at its first batch.
        sampler: Yields the rows of each pass; replaces ``shuffle``.

    A tensor that was computed from others with ``requires_grad``, as ``2 * points``, is detached
    from them, and still requires gradients; one that was computed from a parameter is not.

    Iterating yields tuples with one tensor of shape ``(batch_size, ...)`` per given tensor.
    Without shuffling these are views of the data, unless a file is mapped: do not change them in
    place.

    Raises:
        DataError: No tensors, an empty one, one without dimensions, a sparse or nested one, or
            unequal lengths.
    """

    def __init__(
        self,
        *tensors: Tensor | np.ndarray,
        batch_size: int = 1,
        shuffle: bool = False,
        infinite: bool = False,
        drop_last: bool = False,
        generator: torch.Generator | None = None,
        sampler: Iterable[int] | None = None,
    ) -> None:
        rows = tuple(as_rows(t) if isinstance(t, np.ndarray) else t for t in tensors)
        _check(rows, batch_size)
        own: tuple[Tensor, ...] = as_leaves(rows)
        super().__init__(
            TensorDataset(*own),
            batch_size=batch_size,
            shuffle=shuffle,
            sampler=sampler,
            drop_last=drop_last,
            generator=generator,
        )
        self._sampled = sampler is not None
        self.tensors = own
        self.shuffle = shuffle
        self.infinite = infinite
        self._rows = batch_size
        # If the data require gradients, each batch needs its own graph; and reading the rows of
        # many batches from a file would delay the first one.
        self._alone = any(tensor.requires_grad or is_mapped(tensor) for tensor in own)
        self._rank, self._processes = 0, 1
        self._latest = EndlessOrder(len(own[0]), generator)
        self._loaded: EndlessOrder | None = None

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:  # type: ignore[override]
        if not self.infinite:
            return self._one_pass()
        self._latest = self._loaded or EndlessOrder(len(self.tensors[0]), self.generator)
        self._loaded = None
        return self._endless(self._latest)

    def state_dict(self) -> dict[str, Any]:
        """Return the position of an infinite loader: that of its most recent iterator.

        Returns:
            Tensors and numbers. Empty before the first batch, and for a finite loader, which
            restarts at each pass.
        """
        return (self._loaded or self._latest).state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iterator of an infinite loader continue from a saved position.

        Earlier batches are not built again. ``batch_size`` may differ from the saved one.

        Raises:
            DataError: The position was saved for a different number of rows.
        """
        self._loaded = EndlessOrder(len(self.tensors[0]), self.generator, state)

    def endless_share(self, rank: int, processes: int) -> TensorLoader:
        """Return the share of one of several processes in an infinite loader.

        All draw the same orders if their generators have the same state. Of the next
        ``processes * batch_size`` rows, a process gets every ``processes``-th; so the positions
        are equal, and any number of processes can continue from them.
        """
        share = copy(self)
        share._rank, share._processes = rank, processes
        return share

    def __len__(self) -> int:
        """The number of batches in one pass; an infinite loader has no length."""
        if self.infinite:
            raise TypeError("an infinite loader has no length")
        return super().__len__()

    def _one_pass(self) -> Iterator[tuple[Tensor, ...]]:
        order = self.draw_order() if self.shuffle or self._sampled else None
        size = len(self.tensors[0]) if order is None else len(order)
        if self.drop_last:
            size -= size % self._rows
        yield from self._batches(order, size)

    def _endless(self, endless: EndlessOrder) -> Iterator[tuple[Tensor, ...]]:
        while True:
            order, used = endless.next(), self._rows * self._processes
            order = order[: len(order) - len(order) % used]
            own = order if self._processes == 1 else order[self._rank :: self._processes]
            for batch in self._batches(own, len(own)):
                endless.taken += used
                yield batch

    def draw_order(self) -> Tensor:
        """Return the numbers of the rows of the next pass, in the order of a finite loader."""
        if not (self.shuffle or self._sampled):
            return torch.arange(len(self.tensors[0]))
        if self._sampled:
            return torch.from_numpy(np.fromiter(self.sampler, np.int64))
        return torch.randperm(len(self.tensors[0]), generator=self.generator)

    def _batches(self, order: Tensor | None, size: int) -> Iterator[tuple[Tensor, ...]]:
        rows = self._rows
        step = rows * (1 if self._alone else self._batches_of_a_block())
        for start in range(0, size, step):
            stop = min(start + step, size)
            if order is None:
                blocks = [slice_rows(tensor, start, stop) for tensor in self.tensors]
            else:
                chosen = order[start:stop]
                blocks = [t.index_select(0, chosen.to(t.device)) for t in self.tensors]
            yield from zip(*(torch.split(block, rows) for block in blocks), strict=True)

    def _batches_of_a_block(self) -> int:
        rows = self._rows
        row_bytes = sum(t.nbytes // len(t) for t in self.tensors)
        fitting = _BLOCK_BYTES // max(1, rows * row_bytes)
        return max(1, min(_BLOCK_BATCHES, _BLOCK_ROWS // rows, fitting))


def _advice(given: Any) -> str:
    if isinstance(given, int):
        return f"Pass options by name, as in to_dataloader(x, y, batch_size={given!r})."
    if isinstance(given, tuple | list) and any(isinstance(part, Tensor) for part in given):
        return "Pass them one by one: to_dataloader(*data)."
    return "Convert it first, e.g. with torch.as_tensor(data) or perceptrain.numpy_to_tensor(data)."


def _check(tensors: tuple[Any, ...], batch_size: int) -> None:
    if not tensors:
        raise DataError("No data: pass at least one tensor, e.g. to_dataloader(x, y).")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise DataError(f"Expected tensors, got {type(tensor).__name__}. {_advice(tensor)}")
        if tensor.is_meta:
            raise DataError("A tensor on the device 'meta' has no values: pass data that do.")
        if tensor.layout is not torch.strided or tensor.is_nested:
            raise DataError(
                "A sparse or nested tensor cannot be cut into batches. Make it dense, x.to_dense() "
                "or x.to_padded_tensor(0.0), or pass a list of batches."
            )
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
    if any(tensor.dim() == 0 or len(tensor) != len(tensors[0]) for tensor in tensors):
        raise DataError(
            f"The tensors must agree in their first dimension, the rows; their shapes: {shapes}."
        )
    if len(tensors[0]) == 0:
        raise DataError(f"The data are empty: shapes {shapes}. Pass at least one row.")
    faults = number_faults({"batch_size": batch_size}, whole=True, at_least=1)
    refuse("", faults, DataError)
