"""An endless random order of rows whose position can be saved and restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.data.support.private_generator import private_generator
from perceptrain_core.errors import DataError


class EndlessOrder:
    """The numbers of the rows, pass after pass, each pass in a new random order.

    One generator draws all orders, so its initial state determines them.

    Args:
        rows: How many rows there are.
        generator: Draws the orders. If ``None``, a private generator, seeded with one number from
            torch's default generator when the first order is drawn.
        place: Where to start, from `state_dict`; at the beginning if it is empty.

    Attributes:
        taken: Rows used of the current order; the caller updates it.

    Raises:
        DataError: The place was saved for a different number of rows.
    """

    def __init__(
        self, rows: int, generator: torch.Generator | None, place: Mapping[str, Any] | None = None
    ) -> None:
        self._place = dict(place or {})
        if self._place.get("rows", rows) != rows:
            raise DataError(
                f"The saved position is for data with {self._place['rows']} rows, and this loader "
                f"has {rows}. Load it into a loader of the same data."
            )
        self._rows = rows
        self._generator = generator
        self._order: Tensor | None = None
        self._rest = torch.empty(0, dtype=torch.int64)
        self.taken = 0

    def next(self) -> Tensor:
        """Return the remaining rows of the previous order, followed by a new pass over all rows."""
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
        """Return the position: how to draw the current order again, and how much of it is used."""
        if self._order is None:
            return self._place
        return {
            "rows": self._rows,
            "generator": self._before,
            "rest": self._rest,
            "taken": self.taken,
        }
