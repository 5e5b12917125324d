"""A sampler of given rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import torch
from torch.utils.data import Sampler

_PART = 8192


class ChosenRows(Sampler[int]):
    """Yields the rows that it is given, which may change from pass to pass.

    Attributes:
        rows: Their numbers, int64 of shape ``(N,)``; none at first.
    """

    def __init__(self) -> None:
        self.rows = torch.empty(0, dtype=torch.int64)

    def __iter__(self) -> Iterator[int]:
        # In parts, because an integer of Python takes four times the memory.
        return chain.from_iterable(part.tolist() for part in torch.split(self.rows, _PART))

    def __len__(self) -> int:
        return len(self.rows)
