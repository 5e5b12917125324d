"""Rows in random order without end, from a place that can be saved and found again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.errors import DataError


class EndlessOrder:
    """The numbers of the rows, pass after pass, each pass in a new random order.

    One generator gives all the orders, so that they follow from where it stood at the start.

    Args:
        rows: How many rows there are.
        generator: Where the orders come from. If ``None``, a private one, seeded from torch's
            default generator when the first order is drawn, which takes nothing more of that.
        place: Where to start, from `state_dict`; at the beginning if it is empty.

    Attributes:
        taken: Rows taken of the present order; whoever takes them counts them here.

    Raises:
        DataError: The place is one among another number of rows.
    """

    def __init__(
        self, rows: int, generator: torch.Generator | None, place: Mapping[str, Any] | None = None
    ) -> None:
        self._place = dict(place or {})
        if self._place.get("rows", rows) != rows:
            raise DataError(
                f"The saved place is one among {self._place['rows']} rows, and this loader has "
                f"{rows}. Load it into a loader of the same data."
            )
        self._rows = rows
        self._generator = generator
        self._order: Tensor | None = None
        self._rest = torch.empty(0, dtype=torch.int64)
        self.taken = 0

    def next(self) -> Tensor:
        """Give the rows that are left of the order before, and a new pass over all after them."""
        if self._order is None:
            self._start()
        else:
            self._rest = self._order[self.taken :].clone()  # a view would keep all of it alive
            self.taken = 0
        self._before = self._running.get_state()
        one_pass = torch.randperm(self._rows, generator=self._running)
        self._order = torch.cat([self._rest, one_pass])
        return self._order[self.taken :]

    def _start(self) -> None:
        if not self._place:
            self._running = self._generator or private_generator()
            return
        self._running = self._generator or torch.Generator()
        self._running.set_state(self._place["generator"])
        self._rest, self.taken = self._place["rest"], self._place["taken"]

    def state_dict(self) -> dict[str, Any]:
        """Give the place: how to draw the present order again, and how far it has been taken."""
        if self._order is None:
            return self._place
        return {
            "rows": self._rows,
            "generator": self._before,
            "rest": self._rest,
            "taken": self.taken,
        }


def private_generator() -> torch.Generator:
    """Make a generator, whose seed is all that it takes of torch's default one."""
    seed = int(torch.empty((), dtype=torch.int64).random_().item())
    return torch.Generator().manual_seed(seed)
