"""One epoch of a loader after another."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from perceptrain_core.data.loaders import is_infinite, length_of
from perceptrain_core.errors import DataError
from perceptrain_core.types import Loader


class Epochs:
    """Say which batches an epoch has.

    They are all that a loader gives; of an infinite loader one, the next; without data a single
    ``None``, for models that need none.

    Args:
        loader: The loader, or ``None``.
        limit: At most so many batches in each epoch.

    Raises:
        DataError: The limit is below 1.
    """

    def __init__(self, loader: Loader | None, limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise DataError(f"max_batches must be at least 1, or None for all; not {limit!r}.")
        self._loader: Loader = (None,) if loader is None else loader
        # An infinite loader goes on from epoch to epoch, it never starts again.
        self._endless = iter(self._loader) if is_infinite(loader) else None
        self._limit = limit

    def batches(self) -> Iterable[Any]:
        """Give the batches of the next epoch."""
        if self._endless is not None:
            return islice(self._endless, 1)
        return self._loader if self._limit is None else islice(self._loader, self._limit)

    def first(self) -> Any:
        """Give one batch, the first of the next epoch.

        Raises:
            DataError: There is none.
        """
        for batch in self.batches():
            return batch
        raise DataError("The data gave no batch: they are empty or used up.")

    def count(self) -> int | None:
        """Give the number of batches in an epoch, or ``None`` where it is not known before."""
        if self._endless is not None:
            return 1
        batches = length_of(self._loader)
        if batches is None or self._limit is None:
            return self._limit if batches is None else batches
        return min(batches, self._limit)
