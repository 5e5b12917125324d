"""Parameters as one vector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

import torch
from torch import Tensor


class Columns:
    """Where the elements of parameters are in a vector of all of them.

    Args:
        parameters: The parameters, in order.

    Attributes:
        parameters: As given.
        number: P, the number of all elements.
        places: The columns of each parameter.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.parameters = list(parameters)
        sizes = [p.numel() for p in self.parameters]
        ends = list(accumulate(sizes))
        self.number = ends[-1] if ends else 0
        self.places = {
            p: slice(end - size, end)
            for p, size, end in zip(self.parameters, sizes, ends, strict=True)
        }

    def of(self, parameter: Tensor) -> slice | None:
        """Return the columns of a parameter, ``None`` if it is not one of these."""
        return self.places.get(parameter)

    def flat(self, tensors: Sequence[Tensor | None]) -> Tensor:
        """Return one vector of shape ``(P,)`` from a tensor for each parameter; None is zero."""
        pairs = zip(tensors, self.parameters, strict=True)
        return torch.cat([(torch.zeros_like(p) if t is None else t).reshape(-1) for t, p in pairs])

    def split(self, vector: Tensor) -> list[Tensor]:
        """Return a part of a vector of shape ``(P,)`` for each parameter, of its shape."""
        return [vector[self.places[p]].view_as(p) for p in self.parameters]
