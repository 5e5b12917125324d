"""The normal distribution."""

from __future__ import annotations

import scoringrules
from torch import Tensor
from torch.distributions import Normal

from perceptrain_forecasting.families.base import Family, Frozen
from perceptrain_forecasting.families.constraints import POSITIVE, REAL
from perceptrain_forecasting.families.density import log_density


def _crps(labels: Tensor, location: Tensor, scale: Tensor) -> Tensor:
    found: Tensor = scoringrules.crps_normal(labels, location, scale, backend="torch")
    return found


def _log_density(labels: Tensor, location: Tensor, scale: Tensor) -> Tensor:
    return log_density(Normal(location, scale, validate_args=False), labels)


def _frozen(location: object, scale: object) -> Frozen:
    from scipy.stats import norm

    frozen: Frozen = norm(location, scale)
    return frozen


NORMAL = Family("normal", {"location": REAL, "scale": POSITIVE}, _crps, _log_density, _frozen)
