"""The share of one of several processes in an infinite loader of tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.data.tensor_loader import TensorLoader
from perceptrain_core.engine.shares import Draw, LoaderOfShare, Place


class EndlessShare(LoaderOfShare):
    """Every ``world_size``-th row of an infinite `TensorLoader`.

    Any number of processes can continue from its position.

    Args:
        loader: The loader.
        place: This process.
        draw: Draws the seed of the order.
    """

    def __init__(self, loader: TensorLoader, place: Place, draw: Draw) -> None:
        super().__init__(loader)
        self._share = loader.endless_share(place.rank, place.world_size)
        self._share.generator = None
        self._draw = draw
        self._placed = False

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        if not self._placed:
            seed = self._draw(self.loader.generator)
            self._share.generator = torch.Generator().manual_seed(seed)
        self._placed = False
        return iter(self._share)

    def state_dict(self) -> dict[str, Any]:
        """Return the position, the same in all processes."""
        return self._share.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iterator continue from a position, of any number of processes.

        Raises:
            DataError: The position was saved for a different number of rows.
        """
        self._placed = bool(state)
        self._share.generator = None
        self._share.load_state_dict(state)
