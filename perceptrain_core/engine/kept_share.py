"""A loader that yields the share of its process already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from perceptrain_core.data.support.sliced_batches import iterate
from perceptrain_core.engine.shares import LoaderOfShare

#: Whether something is true in any process.
Anywhere: TypeAlias = Callable[[bool], bool]

_END = object()


class KeptShare(LoaderOfShare):
    """All batches of a loader, until it ends in one of the processes.

    Args:
        loader: The loader of this process.
        anywhere: Says before each batch whether the loader has ended in any process. ``None`` if
            the loaders have the same number of batches, or may differ.
        reorder: Called before each pass.
    """

    def __init__(
        self,
        loader: Any,
        anywhere: Anywhere | None = None,
        reorder: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(loader)
        self._anywhere = None if self.infinite else anywhere
        self._reorder = reorder

    def __iter__(self) -> Iterator[Any]:
        if self._reorder is not None:
            self._reorder()
        batches = iterate(self.loader)
        return batches if self._anywhere is None else _together(batches, self._anywhere)

    def __len__(self) -> int:
        if self._anywhere is not None:
            raise TypeError("the number of batches depends on the other processes")
        return len(self.loader)


def _together(batches: Iterator[Any], anywhere: Anywhere) -> Iterator[Any]:
    while not anywhere((batch := next(batches, _END)) is _END):
        yield batch
