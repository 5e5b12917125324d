"""Running means and squared deviations, by the update of Chan, Golub and LeVeque (1983)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Moments:
    """The mean and the sum of squared deviations of each column.

    Sums of squares would cancel if the mean is far larger than the deviation; these do not.

    Attributes:
        rows: The number of rows.
        weight: The sum of their weights, which are 1 without sample weights.
        mean: The mean, of shape ``(D,)``, float64.
        squares: The sum of squared deviations from the mean, of the same shape.
    """

    rows: int
    weight: float | Tensor
    mean: Tensor
    squares: Tensor

    @classmethod
    def of(cls, values: Tensor, weights: Tensor | None = None) -> Moments:
        """Return the moments of values of shape ``(N, D)``, float64.

        Args:
            values: The values.
            weights: Of shape ``(N, 1)``, not all 0.
        """
        if weights is None:
            mean = values.mean(dim=0)
            return cls(len(values), len(values), mean, (values - mean).square().sum(dim=0))
        total = weights.sum()
        mean = (weights * values).sum(dim=0) / total
        return cls(len(values), total, mean, (weights * (values - mean).square()).sum(dim=0))

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of the rows of both."""
        weight = self.weight + other.weight
        step = other.mean - self.mean
        mean = self.mean + step * (other.weight / weight)
        between = step.square() * (self.weight * other.weight / weight)
        squares = self.squares + other.squares + between
        return Moments(self.rows + other.rows, weight, mean, squares)

    def to(self, device: torch.device | str) -> Moments:
        """Return the moments on a device."""
        weight = self.weight.to(device) if isinstance(self.weight, Tensor) else self.weight
        return Moments(self.rows, weight, self.mean.to(device), self.squares.to(device))

    @property
    def mean_square(self) -> Tensor:
        """The mean of the squares, of shape ``(D,)``."""
        return self.squares / self.weight + self.mean.square()
