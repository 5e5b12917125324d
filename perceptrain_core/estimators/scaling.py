"""Scaling of the columns of an array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scaling:
    """Scales columns to mean 0 and standard deviation 1.

    Attributes:
        mean: The mean of each column, shape ``(D,)``, or 0.
        scale: Its standard deviation, or 1; also 1 for a constant column.
    """

    mean: Any = 0.0
    scale: Any = 1.0

    @classmethod
    def of(cls, rows: Any, weights: Any = None) -> Scaling:
        """Return the scaling of an array of shape ``(N, D)``, with weights of shape ``(N,)``."""
        rows = rows.astype(np.float64)
        if weights is not None and not weights.any():
            weights = None  # the mean of no rows does not exist
        mean = np.average(rows, axis=0, weights=weights)
        deviation = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weights))
        # The deviation of a constant is the rounding error of its mean.
        constant = deviation <= 1e-12 * np.abs(mean)
        return cls(mean, np.where(constant, 1.0, deviation))

    def scaled(self, rows: Any) -> Any:
        """Scale an array, which keeps its dtype."""
        return ((rows - self.mean) / self.scale).astype(rows.dtype)

    def unscaled(self, rows: Any) -> Any:
        """Undo `scaled`."""
        return (rows * self.scale + self.mean).astype(rows.dtype)
