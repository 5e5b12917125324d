"""Student's t distribution; the CRPS of scoringrules does not exist in torch.

It needs the distribution function, an incomplete beta function, which torch does not have.
"""

from __future__ import annotations

from functools import lru_cache
from math import pi, sqrt

import numpy as np
import torch
from torch import Tensor
from torch.distributions import StudentT

from perceptrain_forecasting.families.base import Array, Family, Frozen
from perceptrain_forecasting.families.constraints import ABOVE_TWO, POSITIVE, REAL
from perceptrain_forecasting.families.density import log_density

_NODES = 64


def _crps(labels: Tensor, location: Tensor, scale: Tensor, df: Tensor) -> Tensor:
    """Jordan et al. (2019), appendix A, for more than one degree of freedom."""
    z = (labels - location) / scale
    density = torch.exp(_log_unit_density(z, df))
    between = z * _twice_above_half(z, df)
    tail = 2 * density * (df + z.square()) / (df - 1)
    half = torch.full_like(df, 0.5)
    logs = _log_beta(half, df - 0.5) - 2 * _log_beta(half, df / 2)
    return scale * (between + tail - 2 * df.sqrt() / (df - 1) * logs.exp())


def _log_density(labels: Tensor, location: Tensor, scale: Tensor, df: Tensor) -> Tensor:
    return log_density(StudentT(df, location, scale, validate_args=False), labels)


def _frozen(location: Array, scale: Array, df: Array) -> Frozen:
    from scipy.stats import t

    frozen: Frozen = t(df, location, scale)
    return frozen


def _log_unit_density(z: Tensor, df: Tensor) -> Tensor:
    constant = torch.lgamma((df + 1) / 2) - torch.lgamma(df / 2) - 0.5 * (df * pi).log()
    return constant - (df + 1) / 2 * torch.log1p(z.square() / df)


def _twice_above_half(z: Tensor, df: Tensor) -> Tensor:
    """Return ``2 F(z) - 1``, by Gauss-Legendre quadrature of the density over its angle.

    With ``z = sqrt(df) tan(a)``, the density of a is proportional to ``cos(a)^(df - 1)``. With
    degrees of freedom from 2 to 10,000 the error is below 2e-7.
    """
    points, weights = (z.new_tensor(values) for values in _quadrature())
    angle = torch.atan(z / df.sqrt())
    logs = torch.cos(angle.unsqueeze(-1) * points).log()
    area = (weights * torch.exp((df.unsqueeze(-1) - 1) * logs)).sum(-1) * angle
    ratio = torch.exp(torch.lgamma((df + 1) / 2) - torch.lgamma(df / 2))
    return 2 / sqrt(pi) * ratio * area


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)


@lru_cache
def _quadrature() -> tuple[list[float], list[float]]:
    """Return points and weights on the interval from 0 to 1."""
    points, weights = np.polynomial.legendre.leggauss(_NODES)
    return ((points + 1) / 2).tolist(), (weights / 2).tolist()


STUDENT_T = Family(
    "student_t",
    {"location": REAL, "scale": POSITIVE, "df": ABOVE_TWO},
    _crps,
    _log_density,
    _frozen,
)
