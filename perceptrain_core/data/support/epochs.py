"""Split a loader into epochs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from perceptrain_core.data.support.loader_length import is_infinite, length_of
from perceptrain_core.data.support.sliced_batches import iterate
from perceptrain_core.errors import DataError
from perceptrain_core.types import Loader


class Epochs:
    """The batches of each epoch.

    An epoch has all batches of a finite loader, and the next ``per_step`` batches of an infinite
    one. Without data it has a single batch, ``None``, for models that need no data.

    Args:
        loader: The loader, or ``None``.
        limit: The maximum number of batches in each epoch, at least 1; all if ``None``.
        per_step: The number of batches in a step.

    Attributes:
        endless: Whether the loader is infinite.
    """

    def __init__(self, loader: Loader | None, limit: int | None = None, per_step: int = 1) -> None:
        self.loader: Loader = (None,) if loader is None else loader
        self.endless = is_infinite(loader)
        self._limit = per_step if self.endless else limit
        self._endless: Iterator[Any] | None = None

    def batches(self, after: int = 0) -> Iterator[Any]:
        """Return the batches of the next epoch.

        Args:
            after: The number of batches to skip first; ignored for an infinite loader.

        Raises:
            StopIteration: The loader has fewer batches.
        """
        if self.endless:
            return islice(self._stream(), self._limit)
        batches = iterate(self.loader)
        _pass_over(batches, after)
        return self._limited(batches, after)

    def rest(self, loader: Loader, after: int) -> Iterator[Any]:
        """Return the batches of a loader that yields the rest of an epoch.

        Args:
            loader: The loader.
            after: The number of batches of the epoch before.
        """
        return self._limited(iterate(loader), after)

    def _limited(self, batches: Iterator[Any], after: int) -> Iterator[Any]:
        return batches if self._limit is None else islice(batches, max(0, self._limit - after))

    def pass_over(self, number: int) -> None:
        """Skip the next batches of an infinite loader.

        Raises:
            StopIteration: The loader ends first.
        """
        _pass_over(self._stream(), number)

    def _stream(self) -> Iterator[Any]:
        # One iterator for all epochs: an infinite loader is never restarted.
        if self._endless is None:
            self._endless = iter(self.loader)
        return self._endless

    def first(self) -> Any:
        """Return the first batch of the next epoch.

        Raises:
            DataError: The data have no batch.
        """
        for batch in self.batches():
            return batch
        raise DataError(
            "The data yielded no batch: they are empty, or an iterator "
            "that can be used only once: pass a list or a loader."
        )

    def count(self) -> int | None:
        """Return the number of batches in an epoch, or ``None`` if it is unknown."""
        if self.endless:
            return self._limit
        batches = length_of(self.loader)
        return self._limit if batches is None else self.limited(batches)

    def limited(self, batches: int) -> int:
        """Return how many of the batches of an epoch are used."""
        return batches if self._limit is None else min(batches, self._limit)


def _pass_over(batches: Iterator[Any], number: int) -> None:
    for _ in range(number):
        next(batches)
