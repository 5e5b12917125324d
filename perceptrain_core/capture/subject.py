"""What is captured: a loss of a model, its gradients, and what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.capture.reach import Reach
from perceptrain_core.capturing import NotCapturable
from perceptrain_core.tensors import detached
from perceptrain_core.types import LossFunction, Metrics


@dataclass
class Subject:
    """What is captured.

    Args:
        loss_fn: The loss.
        model: The model.
        guards_loss: Whether nothing is updated if the loss is NaN or infinite.
        guards_gradients: The same for the gradients.
        halted: A flag on the device; nothing is updated unless it is 0.
        measures_norm: Whether the total 2-norm of the gradients is wanted.
        keeps_terms: Whether terms of the loss with means of their own may lose their graphs.
        precision: The dtype that the loss computes with, if this is not that of the parameters.

    Attributes:
        parameters: What is trained.
        scales: The largest element of each result so far, by name. Rounding is relative to the
            numbers that a result is computed from, which do not become smaller with it.
    """

    loss_fn: LossFunction
    model: nn.Module
    guards_loss: bool = True
    guards_gradients: bool = False
    halted: Tensor | None = None
    measures_norm: bool = False
    keeps_terms: bool = True
    precision: torch.dtype | None = None
    parameters: list[Tensor] = field(default_factory=list)
    scales: dict[str, float] = field(default_factory=dict)

    def look(self) -> Reach:
        """Look at what the model and the loss reach."""
        return Reach({"model": self.model, "loss": self.loss_fn})

    def evaluate(
        self, batch: Any, by_backward: bool = False
    ) -> tuple[Tensor, Metrics, Sequence[Tensor | None]]:
        """Return the loss, the metrics, and the gradient of each parameter, all detached.

        Afterwards ``.grad`` is ``None``.

        Args:
            batch: A batch.
            by_backward: Whether a backward pass computes them, as in an eager step.

        Raises:
            NotCapturable: The loss changes ``.grad`` itself.
        """
        for parameter in self.parameters:
            parameter.grad = None
        loss, metrics = self.loss_fn(batch, self.model)
        metrics = detached(metrics)
        if any(p.grad is not None for p in self.parameters):
            raise NotCapturable("the loss calls backward(), or changes .grad itself")
        gradients: list[Tensor | None]
        if by_backward:
            loss.backward()  # type: ignore[no-untyped-call]
            gradients = [p.grad for p in self.parameters]
            for parameter in self.parameters:
                parameter.grad = None
        else:
            gradients = [*torch.autograd.grad(loss, self.parameters, allow_unused=True)]
        return loss.detach(), metrics, gradients
