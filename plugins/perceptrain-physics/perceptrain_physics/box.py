"""A box in space and time, with samplers for its inside and its faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_physics.checks import check_numbers, is_number

#: ``sampler(n)`` draws points of shape ``(n, d)``, or ``n`` points on each of several faces.
Sampler: TypeAlias = Callable[[int], Tensor]


class Box:
    """A product of intervals. Samplers draw uniformly, from torch's default generator.

    Args:
        low: The lower end of each coordinate.
        high: The upper end of each coordinate.

    Raises:
        ConfigError: ``low`` and ``high`` differ in length, a lower end is not below the upper, or
            an end is infinite.
    """

    def __init__(self, low: Sequence[float], high: Sequence[float]) -> None:
        self.low, self.high = checked_ends(low, high)
        if not all(map(is_number, self.low + self.high)):
            raise ConfigError(
                f"low={low!r}, high={high!r}: expected finite ends, because points are drawn "
                "uniformly between them. End an infinite axis where the solution is known or no "
                "longer matters."
            )

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
        check_numbers("", n=n, whole=True, at_least=0, advice="It is the number of points.")
        low, high = torch.tensor(self.low), torch.tensor(self.high)
        return low + (high - low) * torch.rand(n, len(low))

    def face(self, axis: int, value: float) -> Sampler:
        """Return a sampler of points whose coordinate ``axis`` equals ``value``.

        Raises:
            ConfigError: There is no such coordinate, or the value is outside the box.
        """
        self._check_axis(axis)
        low, high = self.low[axis], self.high[axis]
        rounding = 1e-6 * (high - low)
        if not is_number(value) or not low - rounding <= value <= high + rounding:
            raise ConfigError(
                f"value={value!r}: expected a number from {low:g} to {high:g}, the ends of "
                f"coordinate {axis}. For points outside the box, make a larger box or write a "
                "sampler of your own, a function of n."
            )

        def sample(n: int) -> Tensor:
            points = self.inside(n)
            points[:, axis] = value
            return points

        return sample

    def faces(self, *axes: int) -> Sampler:
        """Return a sampler of ``n`` points on both faces of each axis; by default of all axes.

        Raises:
            ConfigError: There is no such axis.
        """
        for axis in axes:
            self._check_axis(axis)
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
        _check_per_axis(n)
        return _product([_line(a, b, n + 2)[1:-1] for a, b in self._ends()])

    def edge_grid(self, n: int) -> Tensor:
        """Return equidistant grids of ``n`` points per axis on all faces, in the default dtype.

        The ends are included, so that edges and corners belong to several faces; shape
        ``(2 d n^(d-1), d)``.
        """
        _check_per_axis(n)
        lines = [_line(a, b, n) for a, b in self._ends()]
        faces = [
            _product([*lines[:axis], torch.tensor([end]), *lines[axis + 1 :]])
            for axis, ends in enumerate(self._ends())
            for end in ends
        ]
        return torch.cat(faces)

    def grid(self, n: int) -> Tensor:
        """Return a grid of ``n`` points per axis, ends included: float64, shape ``(n^d, d)``."""
        _check_per_axis(n)
        return _product([_line(a, b, n, torch.float64) for a, b in self._ends()])

    def _ends(self) -> list[tuple[float, float]]:
        return list(zip(self.low, self.high, strict=True))

    def _check_axis(self, axis: Any) -> None:
        dimensions = len(self.low)
        if not is_number(axis, whole=True) or not -dimensions <= axis < dimensions:
            raise ConfigError(
                f"axis={axis!r}: expected the number of a coordinate, from 0 to {dimensions - 1}, "
                f"because the box has {dimensions}."
            )


def _line(low: float, high: float, n: int, dtype: torch.dtype | None = None) -> Tensor:
    return torch.linspace(low, high, n, dtype=dtype)


def _product(lines: list[Tensor]) -> Tensor:
    return torch.cartesian_prod(*lines).reshape(-1, len(lines))


def _check_per_axis(n: Any) -> None:
    advice = "It is the number of points per axis, the same for all axes."
    check_numbers("", n=n, whole=True, at_least=1, advice=advice)


def checked_ends(low: Any, high: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the ends of a box as floats; they may be infinite.

    Raises:
        ConfigError: They are not a number for each coordinate, or a lower end is not below the
            upper.
    """
    lows, highs = _floats(low), _floats(high)
    if lows and len(lows) == len(highs) and all(a < b for a, b in zip(lows, highs, strict=True)):
        return lows, highs
    raise ConfigError(
        f"low={low!r}, high={high!r}: expected a number for each coordinate, each lower end "
        "below the upper, such as low=[0, -1], high=[1, 1]."
    )


def _floats(ends: Any) -> tuple[float, ...]:
    """Return numbers as floats, or nothing if they are something else."""
    if isinstance(ends, str | bytes):
        return ()
    try:
        values = list(ends)
        if any(isinstance(value, str | bytes) for value in values):
            return ()
        return tuple(map(float, values))
    except (TypeError, ValueError):
        return ()
