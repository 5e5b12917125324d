"""A box in space and time, with samplers for its inside and its faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from perceptrain.errors import ConfigError

#: ``sampler(n)`` draws points of shape ``(n, d)``, or ``n`` points on each of several faces.
Sampler: TypeAlias = Callable[[int], Tensor]


class Box:
    """A product of intervals. Samplers draw uniformly, from torch's default generator.

    Args:
        low: The lower end of each coordinate.
        high: The upper end of each coordinate.

    Raises:
        ConfigError: ``low`` and ``high`` differ in length, or a lower end is not below the upper.
    """

    def __init__(self, low: Sequence[float], high: Sequence[float]) -> None:
        check_ends(low, high)
        self.low = tuple(map(float, low))
        self.high = tuple(map(float, high))

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of uniform points, for networks that standardize their inputs."""
        return tuple((a + b) / 2 for a, b in zip(self.low, self.high, strict=True))

    @property
    def deviation(self) -> tuple[float, ...]:
        """Standard deviation of uniform points."""
        return tuple((b - a) / 12**0.5 for a, b in zip(self.low, self.high, strict=True))

    def inside(self, n: int) -> Tensor:
        """Draw ``n`` points in the default dtype; shape ``(n, d)``."""
        low, high = torch.tensor(self.low), torch.tensor(self.high)
        return low + (high - low) * torch.rand(n, len(low))

    def face(self, axis: int, value: float) -> Sampler:
        """Return a sampler of points whose coordinate ``axis`` equals ``value``."""

        def sample(n: int) -> Tensor:
            points = self.inside(n)
            points[:, axis] = value
            return points

        return sample

    def faces(self, *axes: int) -> Sampler:
        """Return a sampler of ``n`` points on both faces of each axis; by default of all axes."""
        each = [
            self.face(axis, end)
            for axis in axes or range(len(self.low))
            for end in (self.low[axis], self.high[axis])
        ]
        return lambda n: torch.cat([face(n) for face in each])

    def inner_grid(self, n: int) -> Tensor:
        """Return an equidistant grid inside, ``n`` points per axis, in the default dtype.

        The distance from the outer points to the faces is that between neighbors; shape
        ``(n^d, d)``.
        """
        return _product([_line(a, b, n + 2)[1:-1] for a, b in self._ends()])

    def edge_grid(self, n: int) -> Tensor:
        """Return equidistant grids of ``n`` points per axis on all faces, in the default dtype.

        The ends are included, so that edges and corners belong to several faces; shape
        ``(2 d n^(d-1), d)``.
        """
        lines = [_line(a, b, n) for a, b in self._ends()]
        faces = [
            _product([*lines[:axis], torch.tensor([end]), *lines[axis + 1 :]])
            for axis, ends in enumerate(self._ends())
            for end in ends
        ]
        return torch.cat(faces)

    def grid(self, n: int) -> Tensor:
        """Return a grid of ``n`` points per axis, ends included: float64, shape ``(n^d, d)``."""
        return _product([_line(a, b, n, torch.float64) for a, b in self._ends()])

    def _ends(self) -> list[tuple[float, float]]:
        return list(zip(self.low, self.high, strict=True))


def _line(low: float, high: float, n: int, dtype: torch.dtype | None = None) -> Tensor:
    return torch.linspace(low, high, n, dtype=dtype)


def _product(lines: list[Tensor]) -> Tensor:
    return torch.cartesian_prod(*lines).reshape(-1, len(lines))


def check_ends(low: Sequence[float], high: Sequence[float]) -> None:
    """Check the ends of a box.

    Raises:
        ConfigError: ``low`` and ``high`` differ in length, or a lower end is not below the upper.
    """
    ordered = len(low) == len(high) and all(a < b for a, b in zip(low, high, strict=True))
    if not len(low) or not ordered:
        raise ConfigError(
            f"low={low!r}, high={high!r}: expected a number for each coordinate, each lower end "
            "below the upper."
        )
