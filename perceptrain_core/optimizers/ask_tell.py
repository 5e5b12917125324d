"""Gradient-free optimizers: the protocol of a search that proposes candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.optim import Optimizer


@runtime_checkable
class AskTell(Protocol):
    """A search that proposes values for the parameters and receives the loss of each proposal.

    Any library can implement it. A candidate is a vector of shape ``(P,)``, one number per element
    of ``params``, in their order.

    Attributes:
        params: The parameters to which candidates are written.
        best: The best candidate so far, the first of equals; ``None`` before the first.
        best_loss: Its loss; infinity before the first.
    """

    params: Sequence[Tensor]

    @property
    def best(self) -> Tensor | None:
        """The best candidate so far."""
        ...

    @property
    def best_loss(self) -> float:
        """The loss of the best candidate."""
        ...

    def ask(self) -> Tensor:
        """Return the candidate to try; the same one until `tell` is called with its loss."""
        ...

    def tell(self, candidate: Tensor, loss: float) -> None:
        """Record the loss of the candidate; a non-finite loss ranks last."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the search, as tensors and plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state from `state_dict`."""
        ...


def read_vector(params: Sequence[Tensor]) -> Tensor:
    """Copy parameters into one vector of shape ``(P,)`` and dtype float64, on the CPU."""
    return torch.cat([p.detach().reshape(-1).to("cpu", torch.float64) for p in params])


def write_vector(params: Sequence[Tensor], vector: Tensor) -> None:
    """Write a vector of shape ``(P,)`` into parameters, which keep their dtype and device."""
    parts = torch.split(vector, [p.numel() for p in params])
    with torch.no_grad():
        for parameter, part in zip(params, parts, strict=True):
            parameter.copy_(part.view_as(parameter))


def is_search(optimizer: Any) -> bool:
    """Whether an optimizer proposes candidates (`AskTell`) instead of following gradients."""
    # A protocol check looks for every member, so ask the common case first.
    return not isinstance(optimizer, Optimizer) and isinstance(optimizer, AskTell)
