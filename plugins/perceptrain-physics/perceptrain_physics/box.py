"""A box in space and time, and points drawn in it and on its faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from perceptrain.errors import ConfigError

#: ``sampler(n)`` draws points, a tensor of shape ``(n, d)``, or ``n`` on each of several faces.
Sampler: TypeAlias = Callable[[int], Tensor]


class Box:
    """A product of intervals, with samplers of uniform points from torch's default generator.

    Args:
        low: The lower end in each coordinate.
        high: The upper end.

    Raises:
        ConfigError: The ends are not as many, or a lower one is not below the upper.
    """

    def __init__(self, low: Sequence[float], high: Sequence[float]) -> None:
        if not low or len(low) != len(high) or any(a >= b for a, b in zip(low, high, strict=True)):
            raise ConfigError(
                f"low={low!r}, high={high!r}: expected a number for each coordinate, each lower "
                "end below the upper."
            )
        self.low = tuple(map(float, low))
        self.high = tuple(map(float, high))

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of uniform points, for networks that standardise their inputs."""
        return tuple((a + b) / 2 for a, b in zip(self.low, self.high, strict=True))

    @property
    def deviation(self) -> tuple[float, ...]:
        """Their standard deviation."""
        return tuple((b - a) / 12**0.5 for a, b in zip(self.low, self.high, strict=True))

    def inside(self, n: int) -> Tensor:
        """Draw ``n`` points, of shape ``(n, d)``, in the default dtype."""
        low, high = torch.tensor(self.low), torch.tensor(self.high)
        return low + (high - low) * torch.rand(n, len(low))

    def face(self, axis: int, value: float) -> Sampler:
        """Give a sampler of points whose coordinate ``axis`` has one value."""

        def sample(n: int) -> Tensor:
            points = self.inside(n)
            points[:, axis] = value
            return points

        return sample

    def faces(self, *axes: int) -> Sampler:
        """Give a sampler of ``n`` points on each face that ends one of the axes; by default all."""
        each = [
            self.face(axis, end)
            for axis in axes or range(len(self.low))
            for end in (self.low[axis], self.high[axis])
        ]
        return lambda n: torch.cat([face(n) for face in each])

    def grid(self, n: int) -> Tensor:
        """Give ``n`` points along each axis, ends included: float64, of shape ``(n^d, d)``."""
        ends = zip(self.low, self.high, strict=True)
        lines = [torch.linspace(a, b, n, dtype=torch.float64) for a, b in ends]
        return torch.cartesian_prod(*lines).reshape(-1, len(lines))
