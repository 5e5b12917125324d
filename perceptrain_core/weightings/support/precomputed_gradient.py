"""A weighted sum of terms whose backward pass uses gradients that are known already."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch._utils import _unflatten_dense_tensors

from perceptrain_core.capturing import is_capturing
from perceptrain_core.weightings.support.term_gradients import TermGradients, outside_autocast

#: The parameters, which of them any term reaches, K weights, and the terms' gradients ``(K, P)``.
_Known: TypeAlias = tuple[Sequence[Tensor], Sequence[bool], Tensor, Tensor]


def precomputed_sum(terms: Sequence[Tensor], weights: Tensor, gradients: TermGradients) -> Tensor:
    """Return the weighted sum of K terms, with a gradient that is not computed again.

    Args:
        terms: 0-dim tensors with their graph.
        weights: Of shape ``(K,)``, without a graph.
        gradients: The gradients of the terms. Only their parameters get a gradient.
    """
    reached = compress(gradients.parameters, gradients.used)
    # In a list, so that the terms are not an input to autograd.
    inside = [torch.stack([*terms])]
    loss: Tensor = _WeightedSum.apply(weights, gradients, inside, *reached)  # type: ignore[no-untyped-call]
    return loss


class PrecomputedLoss(Tensor):
    """The result of `precomputed_sum`: like any tensor, with a shortcut for a plain ``backward()``.

    Starting the autograd engine only to add known gradients to ``.grad`` would make a step of a
    small network up to 7% slower.
    """

    # Results of other operations are plain tensors.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]
    _known: _Known

    def backward(self, *args: Any, **kwargs: Any) -> None:
        """Add the gradient to ``.grad`` of the parameters; arguments as for ``Tensor.backward``."""
        if args or kwargs or not self.requires_grad or self._has_listeners():
            super().backward(*args, **kwargs)  # type: ignore[no-untyped-call]
            return
        parameters, used, weights, matrix = self._known
        found = zip(parameters, _gradients(weights, matrix, parameters), strict=True)
        for parameter, gradient in compress(found, used):
            if parameter.grad is None:
                parameter.grad = gradient
            else:
                with torch.no_grad():
                    parameter.grad += gradient
        del self._known
        self.detach_()  # frees the graph, as a backward pass does

    def __format__(self, spec: str) -> str:
        return format(self.detach(), spec)

    def _has_listeners(self) -> bool:
        """Whether the loss was changed in place, or a hook waits for a gradient."""
        return bool(
            self._version
            or self.retains_grad
            or self._backward_hooks
            or any(p._backward_hooks or p._post_accumulate_grad_hooks for p in self._known[0])
        )


class _WeightedSum(torch.autograd.Function):
    """A function of the parameters that any term reaches."""

    @staticmethod
    def forward(
        ctx: Any,
        weights: Tensor,
        gradients: TermGradients,
        inside: Sequence[Tensor],
        *reached: Tensor,
    ) -> Tensor:
        (terms,) = inside
        ctx.save_for_backward(weights, gradients.matrix, terms)
        ctx.parameters, ctx.used = gradients.parameters, gradients.used
        value = terms.dot(weights)
        if is_capturing():
            return value
        loss: PrecomputedLoss = Tensor._make_subclass(PrecomputedLoss, value)
        loss._known = gradients.parameters, gradients.used, weights, gradients.matrix
        return loss

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> Any:
        weights, matrix, terms = ctx.saved_tensors
        if not torch.is_grad_enabled():
            found = compress(_gradients(scale * weights, matrix, ctx.parameters), ctx.used)
            return None, None, None, *found
        # A graph of the gradients is wanted, so they are computed again, with one.
        reached = [*compress(ctx.parameters, ctx.used)]
        total = terms.dot(weights)
        return None, None, None, *torch.autograd.grad(total, reached, scale, create_graph=True)


def _gradients(weights: Tensor, matrix: Tensor, parameters: Sequence[Tensor]) -> Sequence[Tensor]:
    with outside_autocast(matrix.device):
        total = weights.to(matrix) @ matrix
    parts: Sequence[Tensor] = _unflatten_dense_tensors(total, parameters)  # type: ignore[no-untyped-call]
    return parts
