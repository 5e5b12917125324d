"""A loss whose gradient is known: its backward pass hands it out, and computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed
from torch._utils import _unflatten_dense_tensors
from torch.autograd.function import once_differentiable
from torch.utils._pytree import tree_map_only

from perceptrain_core.weightings.gradients import TermGradients


def with_gradient(values: Tensor, weights: Tensor, gradients: TermGradients) -> Tensor:
    """Give a weighted sum whose gradient is known: the weighted sum of rows.

    Args:
        values: The terms, of shape ``(K,)``, detached.
        weights: Their weights, of the same shape.
        gradients: The gradients of the terms.
    """
    loss: KnownLoss = torch.Tensor._make_subclass(KnownLoss, values @ weights)
    loss.weights, loss.gradients = weights, gradients
    return loss if _is_plain(gradients) else loss.in_graph()


class KnownLoss(Tensor):
    """A 0-dim tensor with a gradient that is known.

    ``backward()`` adds it to ``.grad`` of the parameters without a pass of the autograd engine,
    which on a small network would take a tenth of a step. Whatever else is done with the loss,
    such as to scale it, is done with an ordinary tensor in a graph, of the same value and gradient.
    """

    weights: Tensor
    gradients: TermGradients
    _graph: Tensor | None = None

    def backward(self, *args: Any, **kwargs: Any) -> None:
        """Add the gradient to that of the parameters; the arguments are those of a tensor."""
        if args or kwargs or self._graph is not None:
            self.in_graph().backward(*args, **kwargs)  # type: ignore[no-untyped-call]
        else:
            _hand_out(self.weights, self.gradients)

    def detach(self) -> Tensor:
        """Give the value alone."""
        with torch._C.DisableTorchFunctionSubclass():
            return self.as_subclass(Tensor)

    def item(self) -> float:
        """Give the value as a number."""
        with torch._C.DisableTorchFunctionSubclass():
            return super().item()

    def in_graph(self) -> Tensor:
        """Give the loss as a tensor in a graph that reaches the parameters, always the same."""
        if self._graph is None:
            self._graph = _Known.apply(  # type: ignore[no-untyped-call]
                self.detach(), self.weights, self.gradients, *self.gradients.parameters
            )
        return self._graph

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Do it with an ordinary tensor."""
        args, kwargs = tree_map_only(KnownLoss, KnownLoss.in_graph, (args, kwargs or {}))
        return func(*args, **kwargs)


class _Known(torch.autograd.Function):
    """A weighted sum of terms whose gradients are known."""

    @staticmethod
    def forward(
        ctx: Any,
        value: Tensor,
        weights: Tensor,
        gradients: TermGradients,
        *parameters: Tensor,
    ) -> Tensor:
        ctx.weights, ctx.gradients = weights, gradients
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        parts = _parts(upstream * ctx.weights, ctx.gradients)
        # What no term reaches has no gradient, as in a backward pass: not one of zeros.
        used = ctx.gradients.used
        return None, None, None, *[p if u else None for p, u in zip(parts, used, strict=True)]


def _parts(weights: Tensor, gradients: TermGradients) -> Sequence[Tensor]:
    total = weights.to(gradients.matrix) @ gradients.matrix
    return _unflatten_dense_tensors(total, gradients.parameters)  # type: ignore[no-untyped-call, no-any-return]


def _hand_out(weights: Tensor, gradients: TermGradients) -> None:
    with torch.no_grad():
        parts = _parts(weights, gradients)
        for parameter, part, used in zip(gradients.parameters, parts, gradients.used, strict=True):
            if parameter.grad is not None:
                parameter.grad += part
            elif used:
                parameter.grad = part


def _is_plain(gradients: TermGradients) -> bool:
    """Whether nothing but ``.grad`` waits for the gradients: no hook, and no other process."""
    dtype, device = gradients.matrix.dtype, gradients.matrix.device
    return not (distributed.is_available() and distributed.is_initialized()) and all(
        p.dtype == dtype and p.device == device and not p._post_accumulate_grad_hooks
        for p in gradients.parameters
    )
