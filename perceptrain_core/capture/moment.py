"""A moment to return to, after a step that was only a trial."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from perceptrain_core.capture.reach import Reach
from perceptrain_core.checkpoints.random_state import get_random_state, set_random_state


class Moment:
    """Everything that a step may change.

    Args:
        reach: What the loss and the model reach at the moment.
        others: Further tensors, such as those of a batch and of an optimizer.

    Attributes:
        reach: As given.
        random: The state of the random generators.
        tensors: The tensors, each once.
        values: Copies of them.
    """

    def __init__(self, reach: Reach, others: Iterable[Tensor]) -> None:
        self.reach, self.random = reach, get_random_state()
        self.tensors = [*{id(t): t for t in [*others, *reach.tensors().values()]}.values()]
        self.values = [t.detach().clone() for t in self.tensors]

    def restore(self) -> None:
        """Make everything as it was."""
        self.reach.restore()
        assign(self.tensors, self.values)
        set_random_state(self.random)


def assign(tensors: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    """Copy values into tensors, which may be parameters."""
    with torch.no_grad():
        for tensor, value in zip(tensors, values, strict=True):
            tensor.copy_(value)
