"""One epoch of a loader after another."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from perceptrain_core.data.loaders import is_infinite, length_of
from perceptrain_core.errors import DataError
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.types import Loader


class Epochs:
    """Say which batches an epoch has.

    They are all that a loader gives; of an infinite loader those of one step, the next; without
    data a single ``None``, for models that need none.

    Args:
        loader: The loader, or ``None``.
        limit: At most so many batches in each epoch.
        per_step: The batches of a step.

    Attributes:
        endless: Whether the loader is infinite.

    Raises:
        DataError: The limit is below 1.
    """

    def __init__(self, loader: Loader | None, limit: int | None = None, per_step: int = 1) -> None:
        if limit is not None:
            faults = number_faults({"max_batches": limit}, whole=True, at_least=1)
            refuse("Trainer", [f"{fault}, or None for all" for fault in faults], DataError)
        self.loader: Loader = (None,) if loader is None else loader
        self.endless = is_infinite(loader)
        self._limit = per_step if self.endless else limit
        self._endless: Iterator[Any] | None = None

    def batches(self, after: int = 0) -> Iterator[Any]:
        """Return the batches of the next epoch.

        Args:
            after: Pass over so many first; not for an infinite loader.

        Raises:
            StopIteration: There are fewer than that.
        """
        if self.endless:
            return islice(self._stream(), self._limit)
        batches = iter(self.loader)
        _pass_over(batches, after)
        return batches if self._limit is None else islice(batches, self._limit - after)

    def pass_over(self, number: int) -> None:
        """Leave out the next batches of an infinite loader.

        Raises:
            StopIteration: It ends before.
        """
        _pass_over(self._stream(), number)

    def _stream(self) -> Iterator[Any]:
        # It goes on from epoch to epoch, it never starts again.
        if self._endless is None:
            self._endless = iter(self.loader)
        return self._endless

    def first(self) -> Any:
        """Return the first batch of the next epoch.

        Raises:
            DataError: There is none.
        """
        for batch in self.batches():
            return batch
        raise DataError("The data gave no batch: they are empty or used up.")

    def count(self) -> int | None:
        """Return the number of batches in an epoch, or ``None`` if it is unknown."""
        if self.endless:
            return self._limit
        batches = length_of(self.loader)
        if batches is None or self._limit is None:
            return self._limit if batches is None else batches
        return min(batches, self._limit)


def _pass_over(batches: Iterator[Any], number: int) -> None:
    for _ in range(number):
        next(batches)
