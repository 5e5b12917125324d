"""Running means and squared deviations, by the update of Chan, Golub and LeVeque (1983)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Moments:
    """The mean and the sum of squared deviations of each column.

    Sums of squares would cancel if the mean is far larger than the deviation; these do not.

    Attributes:
        rows: The number of rows.
        mean: The mean, of shape ``(D,)``, float64.
        squares: The sum of squared deviations from the mean, of the same shape.
    """

    rows: int
    mean: Tensor
    squares: Tensor

    @classmethod
    def of(cls, values: Tensor) -> Moments:
        """Return the moments of values of shape ``(N, D)``, float64."""
        mean = values.mean(dim=0)
        return cls(len(values), mean, (values - mean).square().sum(dim=0))

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of the rows of both."""
        rows = self.rows + other.rows
        step = other.mean - self.mean
        mean = self.mean + step * (other.rows / rows)
        between = step.square() * (self.rows * other.rows / rows)
        return Moments(rows, mean, self.squares + other.squares + between)

    @property
    def mean_square(self) -> Tensor:
        """The mean of the squares, of shape ``(D,)``."""
        return self.squares / self.rows + self.mean.square()
