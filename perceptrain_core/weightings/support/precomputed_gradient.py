"""A loss whose gradient is known: its backward pass hands it out, and computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._utils import _unflatten_dense_tensors
from torch.utils._pytree import tree_map_only

from perceptrain_core.weightings.support.term_gradients import TermGradients, outside_autocast


class KnownLoss(Tensor):
    """A weighted sum of terms whose gradient is known.

    ``backward()`` adds it to ``.grad`` of the parameters without a pass of the autograd engine. So
    does that of the loss times a number, as a gradient scaler makes it. Whatever else is done with
    the loss is done with an ordinary tensor in place of it, the weighted sum in its graph: then
    nothing is gained, and nothing is different.
    """

    _value: Tensor
    _weights: Tensor
    _gradients: TermGradients
    _make: Callable[[], Tensor]
    _stand_in: Tensor | None

    @classmethod
    def of(
        cls, weights: Tensor, gradients: TermGradients, value: Tensor, make: Callable[[], Tensor]
    ) -> KnownLoss:
        """Make one.

        Args:
            weights: Of the K terms, of shape ``(K,)``.
            gradients: Those of the terms.
            value: The weighted sum, without a graph.
            make: Gives the weighted sum in its graph.
        """
        loss: KnownLoss = torch.Tensor._make_subclass(cls, value)
        loss._value, loss._weights, loss._gradients = value, weights, gradients
        loss._make, loss._stand_in = make, None
        return loss

    def backward(self, *args: Any, **kwargs: Any) -> None:
        """Add the gradient to that of the parameters; the arguments are those of a tensor."""
        if args or kwargs or self._stand_in is not None or not _is_awaited_by_none(self._gradients):
            self.ordinary().backward(*args, **kwargs)  # type: ignore[no-untyped-call]
            return
        _hand_out(self._weights, self._gradients)
        self._stand_in = self._value  # so the graph and the gradients can be let go, as usual
        del self._make, self._gradients

    def detach(self) -> Tensor:
        """Give the value alone."""
        return self._value

    def item(self) -> float:
        """Give the value as a number."""
        return self._value.item()

    def ordinary(self) -> Tensor:
        """Give the ordinary tensor that stands in for the loss, always the same."""
        if self._stand_in is None:
            self._stand_in = self._in_graph()
        return self._stand_in

    def _in_graph(self) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            return self._make()

    def _scaled(self, func: Callable[..., Tensor], args: Sequence[Any]) -> KnownLoss:
        def apply(loss: Any) -> Tensor:
            return func(*(loss if arg is self else arg for arg in args))

        return KnownLoss.of(
            apply(self._weights),
            self._gradients,
            apply(self._value),
            lambda: apply(self.ordinary()),
        )

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Do it with ordinary tensors, but for a scaling, and for a look at what the loss is."""
        loss = args[0] if args else None
        if isinstance(loss, KnownLoss) and loss._stand_in is None and not kwargs:
            # A look must leave the loss as it is: that of a trainer at its first batch, too.
            attribute = getattr(func, "__self__", None)
            if attribute in _OF_GRAPH:
                return func(loss._in_graph())
            if func in _LOOKS or attribute in _OF_VALUE:
                return func(loss._value, *args[1:])
        known = [arg for arg in args if isinstance(arg, KnownLoss) and arg._stand_in is None]
        scales = func in _PRODUCTS or (func in _QUOTIENTS and any(loss is one for one in known))
        if scales and len(known) == 1 and not kwargs and sum(map(_is_factor, args)) == 1:
            return known[0]._scaled(func, args)
        args, kwargs = tree_map_only(KnownLoss, KnownLoss.ordinary, (args, kwargs or {}))
        return func(*args, **kwargs)


_OF_GRAPH = (Tensor.grad_fn, Tensor.requires_grad, Tensor.is_leaf)
_OF_VALUE = (
    *(Tensor.dtype, Tensor.device, Tensor.shape, Tensor.ndim, Tensor.layout, Tensor.is_cuda),
    *(Tensor.data, Tensor.is_sparse),
)
_LOOKS = (
    *(Tensor.dim, Tensor.size, Tensor.numel, Tensor.is_complex, Tensor.is_floating_point),
    *(Tensor.isfinite, torch.isfinite, Tensor.__float__, Tensor.__bool__, Tensor.__format__),
)
_PRODUCTS = (Tensor.mul, torch.mul)
_QUOTIENTS = (Tensor.div, torch.div)


def _is_factor(value: Any) -> bool:
    if isinstance(value, Tensor):
        plain = type(value) is Tensor and value.ndim == 0 and not value.requires_grad
        return plain and value.is_floating_point()
    return isinstance(value, int | float)


def _hand_out(weights: Tensor, gradients: TermGradients) -> None:
    matrix = gradients.matrix
    with torch.no_grad(), outside_autocast(matrix.device):
        total = weights.to(matrix) @ matrix
        parts = _unflatten_dense_tensors(total, gradients.parameters)  # type: ignore[no-untyped-call]
        # What no term reaches has no gradient, as in a backward pass: not one of zeros.
        for parameter, part, used in zip(gradients.parameters, parts, gradients.used, strict=True):
            if parameter.grad is not None:
                parameter.grad += part
            elif used:
                parameter.grad = part


def _is_awaited_by_none(gradients: TermGradients) -> bool:
    """Whether nothing but ``.grad`` waits for the gradients: no hook of a parameter."""
    return not any(p._backward_hooks or p._post_accumulate_grad_hooks for p in gradients.parameters)
