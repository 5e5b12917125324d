"""Mixtures of normal distributions.

The CRPS of scoringrules loses the gradient of the scales in versions of torch whose ``asarray``
returns a tensor without one, and warns in the others.
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal

from perceptrain_forecasting.families.base import Array, Family, Frozen
from perceptrain_forecasting.families.constraints import POSITIVE, REAL, SHARES
from perceptrain_forecasting.families.density import log_density


def _crps(labels: Tensor, log_shares: Tensor, locations: Tensor, scales: Tensor) -> Tensor:
    """Grimit et al. (2006): ``E |X - y| - E |X - X'| / 2``, each term that of a normal variable."""
    shares = log_shares.exp()
    errors = _mean_absolute(labels.unsqueeze(-1) - locations, scales)
    differences = locations.unsqueeze(-1) - locations.unsqueeze(-2)
    widths = torch.hypot(scales.unsqueeze(-1), scales.unsqueeze(-2))
    both = shares.unsqueeze(-1) * shares.unsqueeze(-2)
    spread = (both * _mean_absolute(differences, widths)).sum((-2, -1))
    return (shares * errors).sum(-1) - spread / 2


def _log_density(labels: Tensor, log_shares: Tensor, locations: Tensor, scales: Tensor) -> Tensor:
    normal = Normal(locations, scales, validate_args=False)
    each = log_density(normal, labels.unsqueeze(-1))
    return torch.logsumexp(log_shares + each, dim=-1)


def _mean_absolute(mean: Tensor, scale: Tensor) -> Tensor:
    """Return the mean of the absolute value of a normal variable."""
    z = mean / scale
    density = torch.exp(-z.square() / 2) / sqrt(2 * pi)
    return mean * torch.erf(z / sqrt(2)) + 2 * scale * density


class _Mixture:
    """A mixture of normal distributions, with the methods of SciPy's distributions."""

    def __init__(self, shares: Array, locations: Array, scales: Array) -> None:
        self.shares, self.locations, self.scales = shares, locations, scales

    def cdf(self, values: Array) -> Array:
        """Return the probability of at most these values."""
        return _probability(np.asarray(values), self.shares, self.locations, self.scales)

    def ppf(self, levels: Array) -> Array:
        """Return the quantiles of these levels, which lie between those of the components."""
        from scipy.optimize.elementwise import find_root
        from scipy.stats import norm

        shape = np.broadcast_shapes(np.shape(levels), self.shares.shape[:-1])
        wanted = np.broadcast_to(levels, shape)
        each = norm.ppf(wanted[..., None], self.locations, self.scales)
        parts = [np.broadcast_to(part, each.shape) for part in self._parts]

        def excess(values: Array, wanted: Array, *flat: Array) -> Array:
            count = len(flat) // 3
            shares, locations, scales = (
                np.stack(flat[i * count : (i + 1) * count], axis=-1) for i in range(3)
            )
            return _probability(values, shares, locations, scales) - wanted

        flat = [part[..., k] for part in parts for k in range(part.shape[-1])]
        margin = 1e-9 * (1 + np.abs(each).max(-1))
        ends = each.min(-1) - margin, each.max(-1) + margin
        found: Array = find_root(excess, ends, args=(wanted, *flat)).x
        return found

    def mean(self) -> Array:
        """Return the means."""
        mean: Array = (self.shares * self.locations).sum(-1)
        return mean

    def var(self) -> Array:
        """Return the variances."""
        squares = self.scales**2 + (self.locations - self.mean()[..., None]) ** 2
        variance: Array = (self.shares * squares).sum(-1)
        return variance

    @property
    def _parts(self) -> tuple[Array, Array, Array]:
        return self.shares, self.locations, self.scales


def _probability(values: Array, shares: Array, locations: Array, scales: Array) -> Array:
    from scipy.special import ndtr

    found: Array = (shares * ndtr((values[..., None] - locations) / scales)).sum(-1)
    return found


def _frozen(log_shares: Array, locations: Array, scales: Array) -> Frozen:
    return _Mixture(np.exp(log_shares), locations, scales)


NORMAL_MIXTURE = Family(
    "normal_mixture",
    {"shares": SHARES, "locations": REAL, "scales": POSITIVE},
    _crps,
    _log_density,
    _frozen,
    located=False,
    mixture=True,
)
