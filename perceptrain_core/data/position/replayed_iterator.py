"""An iterator over a stateless endless loader that restores its position by replaying it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.data.position.generators import loader_random_state, set_loader_random_state
from perceptrain_core.types import Loader


class ReplayedIterator:
    """Iterate over an endless loader and count its batches, to restore the position later.

    A position is restored by iterating over the loader again from its start. The loader must
    therefore draw the same random numbers again: torch's come from a private state, seeded with one
    number from torch's default generator at the first batch. Those of Python and NumPy are not
    reproduced.

    Args:
        loader: The loader.
        place: Where to start, from `state_dict`; at the beginning if it is empty.

    Raises:
        StopIteration: The loader ends before the place.
    """

    def __init__(self, loader: Loader, place: Mapping[str, Any] | None = None) -> None:
        self._loader = loader
        self._batches: Iterator[Any] | None = None
        self._start: dict[str, Any] = {}
        self._own: Tensor  # the random state of the loader
        self._taken = 0
        if place:
            set_loader_random_state(loader, place["generators"])
            self._begin(place["seed"])
            for _ in range(place["taken"]):
                next(self)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._start:
            self._begin(int(torch.empty((), dtype=torch.int64).random_()))
        others = torch.get_rng_state()
        torch.set_rng_state(self._own)
        try:
            if self._batches is None:
                self._batches = iter(self._loader)
            batch = next(self._batches)
        finally:
            self._own = torch.get_rng_state()
            torch.set_rng_state(others)
        self._taken += 1
        return batch

    def _begin(self, seed: int) -> None:
        self._start = {"seed": seed, "generators": loader_random_state(self._loader)}
        self._own = torch.Generator().manual_seed(seed).get_state()

    def state_dict(self) -> dict[str, Any]:
        """Return the position; empty before the first batch."""
        return self._start | {"taken": self._taken} if self._start else {}
