"""What values a parameter of a distribution may have, and how any output becomes such a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

#: Keeps a scale away from 0, where a softplus of float32 ends.
SMALLEST = 1e-6


def _unchanged(raw: Tensor) -> Tensor:
    return raw


@dataclass(frozen=True)
class Constraint:
    """The values that a parameter may have.

    Attributes:
        lower: They are above this, or ``None`` for any number.
        apply: Turns any outputs of a model into such values, as the family computes with them.
        advice: How a model of your own can return them.
        given: Turns such values of a model of your own into what the family computes with.
    """

    lower: float | None
    apply: Callable[[Tensor], Tensor]
    advice: str = ""
    given: Callable[[Tensor], Tensor] = _unchanged


def _positive(raw: Tensor) -> Tensor:
    return F.softplus(raw) + SMALLEST


def _above_two(raw: Tensor) -> Tensor:
    return 2 + _positive(raw)


def _log_shares(raw: Tensor) -> Tensor:
    return raw.log_softmax(-1)


_ADVICE = "Return one tensor, to which a softplus is applied, or apply torch.nn.functional.softplus"

REAL = Constraint(None, _unchanged)
POSITIVE = Constraint(0.0, _positive, f"{_ADVICE}.")
ABOVE_TWO = Constraint(2.0, _above_two, f"{_ADVICE} and add 2.")
#: Shares that add up to 1, as logarithms: a softmax can be 0, which has no logarithm.
SHARES = Constraint(
    0.0, _log_shares, "Return one tensor, to which a softmax is applied.", given=torch.log
)
