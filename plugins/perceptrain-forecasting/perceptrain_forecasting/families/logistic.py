"""The logistic distribution; scoringrules is infinite 89 scales away from the location in float32.

``exp(-z)`` overflows there, and the gradients are NaN. A softplus does not.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from perceptrain_forecasting.families.base import Family, Frozen
from perceptrain_forecasting.families.constraints import POSITIVE, REAL


def _crps(labels: Tensor, location: Tensor, scale: Tensor) -> Tensor:
    """Jordan et al. (2019), appendix A: ``s (z - 2 log F(z) - 1)``."""
    z = (labels - location) / scale
    return scale * (z + 2 * F.softplus(-z) - 1)


def _log_density(labels: Tensor, location: Tensor, scale: Tensor) -> Tensor:
    z = (labels - location) / scale
    return -z - 2 * F.softplus(-z) - scale.log()


def _frozen(location: object, scale: object) -> Frozen:
    from scipy.stats import logistic

    frozen: Frozen = logistic(location, scale)
    return frozen


LOGISTIC = Family("logistic", {"location": REAL, "scale": POSITIVE}, _crps, _log_density, _frozen)
