"""A moment to return to, after a step that was only a trial."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from perceptrain_core.capture.reach import Reach
from perceptrain_core.capturing import NotCapturable
from perceptrain_core.random_state import get_random_state, set_random_state

#: Bytes of a tensor that is copied, if it is neither a parameter nor in the batch: such are data.
LARGEST = 2**26


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
        own = {id(t): t for t in others}
        reached = {id(t): t for t in reach.tensors().values()}
        self.tensors = [*(own | reached).values()]
        self.values = [
            t if id(t) not in own and t.nbytes > LARGEST else t.detach().clone()
            for t in self.tensors
        ]
        # With copies, for a backward pass adds to the gradients of tensors that are not trained.
        self._gradients = [
            (t, t.grad, None if t.grad is None else t.grad.clone())
            for t in self.tensors
            if t.is_leaf
        ]
        pairs = zip(self.tensors, self.values, strict=True)
        self._large = [(t, t._version) for t, value in pairs if t is value]

    def restore(self) -> None:
        """Put everything back.

        Raises:
            NotCapturable: A large tensor was changed in place, which was not copied.
        """
        self.reach.restore()
        for tensor, gradient, value in self._gradients:
            tensor.grad = gradient
            if gradient is not None and value is not None:
                gradient.detach().copy_(value)
        set_random_state(self.random)
        # Only what has changed: data may be in memory that cannot be written.
        changes = [(t, v) for t, v in zip(self.tensors, self.values, strict=True) if _differ(t, v)]
        assign([t for t, _ in changes], [value for _, value in changes])
        if any(t._version != version for t, version in self._large):
            raise NotCapturable("the loss changes a large tensor in place")


def _differ(tensor: Tensor, value: Tensor) -> bool:
    if tensor is value or torch.equal(tensor, value):
        return False
    if not tensor.is_floating_point():
        return True
    return not torch.allclose(tensor, value, rtol=0, atol=0, equal_nan=True)


def assign(tensors: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    """Copy values into tensors, which may be parameters."""
    with torch.no_grad():
        for tensor, value in zip(tensors, values, strict=True):
            tensor.copy_(value)
