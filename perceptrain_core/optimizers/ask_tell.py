"""Training without gradients: what proposes candidates, and the step that tries one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from perceptrain_core.data.device import data_to_device
from perceptrain_core.optimizers.step import begin_step
from perceptrain_core.tensors import detached
from perceptrain_core.types import LossFunction, StepResult


@runtime_checkable
class AskTell(Protocol):
    """A search: it proposes values for the parameters, and is told the loss that they gave.

    Any library can stand behind it. A candidate is a vector of shape ``(P,)``, one number for
    each element of ``params``, in their order.

    Attributes:
        params: The parameters to which candidates are written.
        best: The best candidate that was told, the first of equals; ``None`` before there is one.
        best_loss: Its loss; infinity before there is one.
    """

    params: Sequence[Tensor]

    @property
    def best(self) -> Tensor | None:
        """The best candidate that was told."""
        ...

    @property
    def best_loss(self) -> float:
        """The loss of the best candidate."""
        ...

    def ask(self) -> Tensor:
        """Give the candidate to try; the same one until its loss is told."""
        ...

    def tell(self, candidate: Tensor, loss: float) -> None:
        """Take the loss of the candidate; one that is not finite is the worst there is."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Where the search stands, in tensors and plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


def ask_tell_step(
    model: nn.Module,
    optimizer: AskTell,
    loss_fn: LossFunction,
    xs: Any,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> StepResult:
    """Try one candidate on one batch.

    Args:
        model: The model; afterwards it holds the candidate.
        optimizer: The search.
        loss_fn: Evaluated once, without gradients. If it has a method ``begin_step``, that is
            called once before.
        xs: The batch.
        device: Where to move the batch; ``None`` leaves it.
        dtype: For the floating point tensors of the batch; ``None`` leaves them.

    Returns:
        The loss and the metrics of the candidate.
    """
    xs = data_to_device(xs, device, dtype)
    begin_step(loss_fn)
    candidate = optimizer.ask()
    write_vector(optimizer.params, candidate)
    with torch.no_grad():
        loss, metrics = loss_fn(xs, model)
    optimizer.tell(candidate, loss.item())
    return loss.detach(), detached(metrics)


def read_vector(params: Sequence[Tensor]) -> Tensor:
    """Copy parameters into one vector of shape ``(P,)`` and dtype float64, on the CPU."""
    return torch.cat([p.detach().reshape(-1).to("cpu", torch.float64) for p in params])


def write_vector(params: Sequence[Tensor], vector: Tensor) -> None:
    """Write a vector of shape ``(P,)`` into parameters, which keep their dtype and device."""
    parts = torch.split(vector, [p.numel() for p in params])
    with torch.no_grad():
        for parameter, part in zip(params, parts, strict=True):
            parameter.copy_(part.view_as(parameter))
