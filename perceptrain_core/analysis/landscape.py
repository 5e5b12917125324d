"""The loss of a model as a function of its parameters, evaluated at many points at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from perceptrain_core.errors import LossContractError, TrainingError
from perceptrain_core.models.modes import evaluating
from perceptrain_core.models.parameters import get_parameters
from perceptrain_core.tensors import describe
from perceptrain_core.types import LossFunction


class Landscape:
    """Evaluate ``loss_fn(batch, model)`` for any parameters, without changing the model.

    ``torch.func.functional_call`` swaps in the parameters and copies of the buffers; the model is
    in evaluation mode. ``torch.func.vmap`` evaluates many points at once. Some losses are evaluated
    point by point instead: those that ``vmap`` cannot transform (e.g. with derivatives, random
    numbers or data-dependent control flow), and those for which it returns a different value at the
    first point.

    Args:
        model: The model, with trainable parameters.
        loss_fn: The loss.
        batch: The batch on which the loss is evaluated.

    Attributes:
        theta: The trainable parameters of the model, of shape ``(P,)``.
        batched: Whether ``vmap`` is used, as decided at the first evaluation.

    Raises:
        TrainingError: The model has no trainable parameters.
    """

    def __init__(self, model: nn.Module, loss_fn: LossFunction, batch: Any) -> None:
        self.theta = get_parameters(model)
        if not len(self.theta):
            raise TrainingError(
                f"{type(model).__name__} has no parameter with requires_grad, so its loss has no "
                "landscape. Call requires_grad_() on those to vary."
            )
        self.batched, self._compared = True, False
        self._loss = _Loss(model, loss_fn)
        self._batch = batch
        named = self._loss.model.named_parameters(prefix="model")
        self._shapes = [(name, p.shape, p.dtype) for name, p in named if p.requires_grad]

    def __call__(self, thetas: Tensor) -> Tensor:
        """Evaluate the loss.

        Args:
            thetas: Points of shape ``(n, P)``.

        Returns:
            The losses, of shape ``(n,)``, without a graph.

        Raises:
            LossContractError: The loss did not return ``(loss, metrics)``.
        """
        with evaluating(self._loss.model, self._loss.loss_fn), torch.no_grad():
            losses = self._all_at_once(thetas) if self.batched else None
            return self._one_by_one(thetas) if losses is None else losses

    def _all_at_once(self, thetas: Tensor) -> Tensor | None:
        try:
            losses = vmap(self._at)(thetas).detach()
            if not self._compared:
                one = self._one_by_one(thetas[:1])
                self.batched = torch.allclose(losses[:1], one, rtol=1e-3, equal_nan=True)
                self._compared = True
        except Exception:  # evaluating point by point raises a clearer error
            self.batched = False
        return losses if self.batched else None

    def _one_by_one(self, thetas: Tensor) -> Tensor:
        return torch.stack([self._at(theta).detach() for theta in thetas])

    def _at(self, theta: Tensor) -> Tensor:
        parts = torch.split(theta, [shape.numel() for _, shape, _ in self._shapes])
        # Use nn.Parameter, since a loss may check which parameters are trained.
        values = {
            name: nn.Parameter(part.view(shape).to(dtype))
            for (name, shape, dtype), part in zip(self._shapes, parts, strict=True)
        }
        buffers = {name: value.clone() for name, value in self._loss.named_buffers()}
        loss: Tensor = functional_call(self._loss, {**values, **buffers}, (self._batch,))
        return loss


class _Loss(nn.Module):
    """A loss and its model as one module, for ``functional_call``."""

    def __init__(self, model: nn.Module, loss_fn: LossFunction) -> None:
        super().__init__()
        self.model = model
        self.loss_fn = loss_fn

    def forward(self, batch: Any) -> Tensor:
        result: Any = self.loss_fn(batch, self.model)
        loss = result[0] if isinstance(result, tuple | list) and len(result) == 2 else None
        if isinstance(loss, Tensor) and loss.dim() == 0:
            return loss
        raise LossContractError(
            f"The loss returned {describe(result)}; expected (loss, metrics) from "
            "loss_fn(batch, model), with the loss a 0-dim tensor."
        )
