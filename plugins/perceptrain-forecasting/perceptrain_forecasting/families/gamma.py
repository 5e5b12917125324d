"""The gamma distribution; the CRPS of scoringrules has no gradient in torch.

``torch.special.gammainc`` cannot be differentiated with respect to the shape.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributions import Gamma

from perceptrain_forecasting.families.base import Array, Family, Frozen
from perceptrain_forecasting.families.constraints import POSITIVE
from perceptrain_forecasting.families.density import log_density

#: The step of the difference quotient, as a part of the width in which the function changes.
_STEP = 1e-3


class _Probability(torch.autograd.Function):
    """The regularized lower incomplete gamma function, with both derivatives.

    The derivative with respect to the shape is a difference quotient of fourth order in float64,
    whose relative error is about 1e-10.
    """

    @staticmethod
    def forward(ctx: Any, shape: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(shape, value)
        below: Tensor = torch.special.gammainc(shape, value)
        return below

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        shape, value = (saved.double() for saved in ctx.saved_tensors)
        step = _STEP * shape / (1 + shape.sqrt())
        near, far = (
            torch.special.gammainc(shape + n * step, value)
            - torch.special.gammainc(shape - n * step, value)
            for n in (1, 2)
        )
        by_shape = (8 * near - far) / (12 * step)
        by_value = torch.exp((shape - 1) * value.log() - value - torch.lgamma(shape))
        return (gradient * by_shape).to(gradient), (gradient * by_value).to(gradient)


def _probability(shape: Tensor, value: Tensor) -> Tensor:
    found: Tensor = _Probability.apply(shape, value)  # type: ignore[no-untyped-call]
    return found


def _crps(labels: Tensor, shape: Tensor, rate: Tensor) -> Tensor:
    """Jordan et al. (2019), appendix A."""
    value = rate * labels
    below = _probability(shape, value)
    # The distribution function for the next shape, by the recurrence of the incomplete gamma.
    next_below = below - torch.exp(shape * value.log() - value - torch.lgamma(shape + 1))
    half = torch.full_like(shape, 0.5)
    beta = torch.exp(torch.lgamma(half) + torch.lgamma(shape) - torch.lgamma(shape + 0.5))
    return labels * (2 * below - 1) - shape / rate * (2 * next_below - 1) - 1 / (rate * beta)


def _log_density(labels: Tensor, shape: Tensor, rate: Tensor) -> Tensor:
    return log_density(Gamma(shape, rate, validate_args=False), labels)


def _frozen(shape: Array, rate: Array) -> Frozen:
    from scipy.stats import gamma

    frozen: Frozen = gamma(shape, scale=1 / rate)
    return frozen


GAMMA = Family(
    "gamma",
    {"shape": POSITIVE, "rate": POSITIVE},
    _crps,
    _log_density,
    _frozen,
    positive=True,
    located=False,
)
