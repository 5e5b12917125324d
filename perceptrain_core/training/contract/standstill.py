"""Notice a run that trains nothing: gradients that are zero, parameters that stay as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from perceptrain_core.parameters import parameters_of
from perceptrain_core.tensors import local
from perceptrain_core.user_warnings import warn_user

_ENOUGH = 9  # checks in a row: ten looks


class StandstillWatch:
    """Look at the gradients and the parameters now and then, and warn once if they stand still.

    The checks are at the steps 10, 20, ... 100, 200, ... 1000, 2000 and so on: so few that they
    cost nothing, and the first hundred steps are enough for a warning.

    Args:
        optimizer: Its parameters are watched; a search has none.
        step: The optimizer steps so far.

    Attributes:
        next: The step of the next check.
    """

    def __init__(self, optimizer: Any, step: int = 0) -> None:
        self._parameters: list[Tensor] = []
        self._optimizer: Optimizer | None = None
        if isinstance(optimizer, Optimizer):
            self._parameters = list(parameters_of(optimizer))
            self._optimizer = optimizer
        self._start = _norms(self._parameters)
        self._before: Tensor | None = None
        self._still = {"gradients": 0, "parameters": 0}
        self._moved = self._changed = False
        self.next = _check_after(step)

    def look(self, step: int, loss: Tensor) -> None:
        """Check, after a step.

        Args:
            step: The optimizer steps so far.
            loss: The loss of a batch of the step.

        Warns:
            UserWarning: All gradients were zero at the last ten checks, or no parameter has changed
                since the start. (Later, parameters that stay have converged.) While the learning
                rate is 0, nothing is expected to change.
        """
        self.next = _check_after(step)
        if not self._parameters:
            return
        norms = _norms(self._parameters)
        self._changed |= not torch.equal(norms, self._start)
        before, self._before = self._before, norms
        if before is None:
            return
        unchanged = torch.equal(norms, before) and self._has_rate()
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        zero = bool(gradients) and not bool(_norms(gradients).any())
        self._moved |= bool(gradients) and not zero
        # A step of a user's own may clear the gradients after it has used them.
        self._count("gradients", zero and (unchanged or self._decays()))
        self._count("parameters", unchanged)
        if self._still["gradients"] == _ENOUGH:
            value = loss.item()
            if value or not self._moved:  # otherwise all is learned, as with a hinge loss
                self._warn(f"All gradients were zero {self._when(step)}. {_why(value)}")
        elif self._still["parameters"] == _ENOUGH and not self._changed:  # nor has it converged
            self._warn(
                f"The parameters did not change {self._when(step)}, although their gradients are "
                "not zero. Look at the learning rate, and whether a step is too small for the "
                "precision of the parameters."
            )

    def _has_rate(self) -> bool:
        """Whether parameters are to change: the rate of a warm-up may be 0."""
        return any(group.get("lr", 1) for group in self._groups())

    def _decays(self) -> bool:
        return any(group.get("weight_decay") for group in self._groups())

    def _groups(self) -> list[dict[str, Any]]:
        """Return the groups as they are now: a sequence replaces them."""
        return [] if self._optimizer is None else self._optimizer.param_groups

    def _count(self, what: str, still: bool) -> None:
        self._still[what] = self._still[what] + 1 if still else 0

    def _when(self, step: int) -> str:
        return f"at each of the last {_ENOUGH + 1} checks, up to step {step}"

    def _warn(self, message: str) -> None:
        self._parameters = []  # once
        warn_user(message)


def _check_after(step: int) -> int:
    """Return the next step with a check: a multiple of the power of ten below it."""
    every: int = 10 ** max(1, len(str(step + 1)) - 1)
    return (step // every + 1) * every


def _norms(tensors: Iterable[Tensor]) -> Tensor:
    # Of a sharded parameter the share of this process tells enough.
    found = [local(tensor.detach()) for tensor in tensors if not is_lazy(tensor)]
    if not found:
        return torch.zeros(1)
    if any(tensor.layout is not torch.strided for tensor in found):
        return torch.stack([tensor.norm().cpu().double() for tensor in found])
    norms = torch._foreach_norm(found)
    if len({(norm.dtype, norm.device) for norm in norms}) == 1:
        return torch.stack(norms).cpu().double()
    return torch.stack([norm.cpu().double() for norm in norms])


def _why(loss: float) -> str:
    if loss == 0:
        return (
            "The loss is 0: nothing in the batches counts, as if there were no pairs of one class, "
            "or all labels were ignored."
        )
    return (
        f"The loss is {loss:g} and does not depend on the parameters at their values: units may be "
        "dead (ReLU below 0), outputs saturated or clamped, or everything that counts masked."
    )
