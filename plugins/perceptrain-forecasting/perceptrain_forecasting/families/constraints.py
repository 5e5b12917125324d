"""What values a parameter of a distribution may have, and how any output becomes such a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

#: Keeps a scale away from 0, where a softplus of float32 ends.
SMALLEST = 1e-6


@dataclass(frozen=True)
class Constraint:
    """The values that a parameter may have.

    Attributes:
        lower: They are above this, or ``None`` for any number.
        apply: Turns any outputs of a model into such values.
        advice: How a model of your own can return them.
    """

    lower: float | None
    apply: Callable[[Tensor], Tensor]
    advice: str = ""


def _unchanged(raw: Tensor) -> Tensor:
    return raw


def _positive(raw: Tensor) -> Tensor:
    return F.softplus(raw) + SMALLEST


def _above_two(raw: Tensor) -> Tensor:
    return 2 + _positive(raw)


def _shares(raw: Tensor) -> Tensor:
    return raw.softmax(-1)


_ADVICE = "Return one tensor, to which a softplus is applied, or apply torch.nn.functional.softplus"

REAL = Constraint(None, _unchanged)
POSITIVE = Constraint(0.0, _positive, f"{_ADVICE}.")
ABOVE_TWO = Constraint(2.0, _above_two, f"{_ADVICE} and add 2.")
SHARES = Constraint(0.0, _shares, "Return one tensor, to which a softmax is applied.")
