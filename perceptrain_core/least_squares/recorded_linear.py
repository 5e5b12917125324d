"""Linear layers that record how each row of a batch depends on their weights.

A linear layer and its derivatives use the weight ``W`` in two ways: as ``x W^T``, and as ``g W`` in
derivatives. The derivative of each is the other. These two functions, each with the other in its
backward pass, are therefore enough for derivatives of any order. In the last backward pass each use
of ``W`` adds ``left^T right`` to the gradient, a sum over rows. Recording ``left`` and ``right``
keeps the rows apart, so that the gradients of all rows cost one backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F


class Pass(Enum):
    """What the backward passes are for that run now."""

    POINTS = "derivatives with respect to the points: weights get no gradient"
    GRADIENT = "the gradient of the weights, as usual"
    ROWS = "the gradient of the weights for each row: uses are recorded"


@dataclass
class Use:
    """One use of a linear layer: the gradient of its weight is ``left^T right``, row by row.

    Attributes:
        left: Shape ``(N, ..., outputs)``.
        right: Shape ``(N, ..., inputs)``.
        biased: Whether the bias was added, whose gradient is then ``left``.
    """

    left: Tensor
    right: Tensor
    biased: bool


@dataclass
class Tape:
    """The uses of linear layers in a backward pass.

    Attributes:
        purpose: What backward passes are for now.
        uses: The recorded uses of each layer.
    """

    purpose: Pass = Pass.GRADIENT
    uses: dict[nn.Linear, list[Use]] = field(default_factory=dict)

    def record(self, layer: nn.Linear, left: Tensor, right: Tensor, biased: bool) -> None:
        """Record a use of a layer."""
        self.uses.setdefault(layer, []).append(Use(left, right, biased))


def recorded_linear(x: Tensor, layer: nn.Linear, tape: Tape, detach: bool = False) -> Tensor:
    """Evaluate a linear layer.

    Args:
        x: Inputs of shape ``(N, ..., inputs)``.
        layer: The layer.
        tape: Where uses are recorded.
        detach: Whether the parameters are constants, which are not recorded.

    Returns:
        Outputs of shape ``(N, ..., outputs)``.
    """
    if detach:
        bias = None if layer.bias is None else layer.bias.detach()
        return F.linear(x, layer.weight.detach(), bias)
    result: Tensor = _Forward.apply(x, layer.weight, layer.bias, layer, tape)  # type: ignore[no-untyped-call]
    return result


class _Forward(Function):
    """``x W^T + b``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, layer: nn.Linear, tape: Tape
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.layer, ctx.tape, ctx.biased = layer, tape, bias is not None
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (g,) = gradients
        x, weight = ctx.saved_tensors
        purpose = ctx.tape.purpose
        dx = _transposed(g, weight, ctx) if ctx.needs_input_grad[0] else None
        if purpose is Pass.ROWS:
            ctx.tape.record(ctx.layer, g, x, ctx.biased)
        if purpose is not Pass.GRADIENT:
            return dx, None, None, None, None
        bias = g.reshape(-1, g.shape[-1]).sum(0) if ctx.biased else None
        return dx, _outer(g, x), bias, None, None


class _Transposed(Function):
    """``g W``."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, weight: Tensor, layer: nn.Linear, tape: Tape) -> Tensor:
        ctx.save_for_backward(g, weight)
        ctx.layer, ctx.tape = layer, tape
        return g @ weight

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (h,) = gradients
        g, weight = ctx.saved_tensors
        purpose = ctx.tape.purpose
        dg = None
        if ctx.needs_input_grad[0]:
            if torch.is_grad_enabled():
                dg = _Forward.apply(h, weight, None, ctx.layer, ctx.tape)  # type: ignore[no-untyped-call]
            else:
                dg = F.linear(h, weight)
        if purpose is Pass.ROWS:
            ctx.tape.record(ctx.layer, g, h, False)
        return dg, _outer(g, h) if purpose is Pass.GRADIENT else None, None, None


def _transposed(g: Tensor, weight: Tensor, ctx: Any) -> Tensor:
    if not torch.is_grad_enabled():
        return g @ weight
    result: Tensor = _Transposed.apply(g, weight, ctx.layer, ctx.tape)  # type: ignore[no-untyped-call]
    return result


def _outer(left: Tensor, right: Tensor) -> Tensor:
    return left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1])
