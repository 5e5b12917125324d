"""The lognormal distribution: the logarithm is normal."""

from __future__ import annotations

import scoringrules
from torch import Tensor
from torch.distributions import Normal

from perceptrain_forecasting.families.base import Array, Family, Frozen
from perceptrain_forecasting.families.constraints import POSITIVE, REAL
from perceptrain_forecasting.families.density import log_density


def _crps(labels: Tensor, mean_log: Tensor, scale_log: Tensor) -> Tensor:
    found: Tensor = scoringrules.crps_lognormal(labels, mean_log, scale_log, backend="torch")
    return found


def _log_density(labels: Tensor, mean_log: Tensor, scale_log: Tensor) -> Tensor:
    logs = labels.log()
    return log_density(Normal(mean_log, scale_log, validate_args=False), logs) - logs


def _frozen(mean_log: Array, scale_log: Array) -> Frozen:
    import numpy as np
    from scipy.stats import lognorm

    frozen: Frozen = lognorm(scale_log, scale=np.exp(mean_log))
    return frozen


LOGNORMAL = Family(
    "lognormal",
    {"mean_log": REAL, "scale_log": POSITIVE},
    _crps,
    _log_density,
    _frozen,
    positive=True,
    located=False,
)
