"""Densities by the distributions of torch."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def log_density(distribution: Any, labels: Tensor) -> Tensor:
    """Return the log density of a distribution of ``torch.distributions`` at each label."""
    found: Tensor = distribution.log_prob(labels)
    return found
