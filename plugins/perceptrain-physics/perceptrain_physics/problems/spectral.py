"""Solutions of periodic problems in time and one space dimension, by a Fourier method in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from perceptrain_physics.problems.points import check_times

_Array: TypeAlias = NDArray[Any]
_Function: TypeAlias = Callable[[_Array], _Array]

_WINDOW = 10  # snapshots in an interpolation in time, so that its error is of order 10
_OVERSAMPLED = 256  # the coefficients of a start with a kink are those of a fine grid
_CIRCLE = 64  # points of the contour integrals


class Semilinear(NamedTuple):
    """The equation ``u_t = L u + M f(u)``, periodic in ``x``.

    Attributes:
        linear: ``L`` as a function of the wave numbers.
        multiplier: ``M`` as a function of the wave numbers.
        nonlinear: ``f(u)``, pointwise.
        start: The initial value as a function of ``x``.
    """

    linear: _Function
    multiplier: _Function
    nonlinear: _Function
    start: _Function


class Resolution(NamedTuple):
    """How finely an equation is solved.

    Attributes:
        modes: Fourier modes, that of the mean included.
        intervals: Intervals of time between which the solution is kept, to be interpolated.
        steps: Time steps in an interval. The result is extrapolated from these and twice as many.
    """

    modes: int
    intervals: int
    steps: int = 1


class SpectralSolution:
    """The solution of a semilinear equation, at any time and place.

    A. Kassam, L. Trefethen, "Fourth-order time-stepping for stiff PDEs", SIAM J. Sci. Comput.
    26(4), 2005: Fourier series in ``x``, and exponential time differencing of order 4, here with
    one Richardson extrapolation. The series is summed at the points themselves; in time it is
    interpolated by polynomials of degree 9.

    Args:
        equation: The equation.
        ends: The ends of the period in ``x``.
        end: The last time.
        resolution: How finely it is solved.
    """

    def __init__(
        self,
        equation: Semilinear,
        ends: tuple[float, float],
        end: float,
        resolution: Resolution,
    ) -> None:
        self._left, self._end = ends[0], end
        period = ends[1] - ends[0]
        k = 2 * np.pi / period * np.arange(resolution.modes)
        coarse, fine = (
            np.stack(list(_march(equation, ends[0], period, k, end, resolution, factor)))
            for factor in (1, 2)
        )
        kept = fine + (fine - coarse) / 15
        # Modes that are zero up to rounding only cost time.
        amplitudes = np.abs(kept).max(axis=0)
        kept = kept[:, : 1 + int(np.flatnonzero(amplitudes > 1e-17 * amplitudes.max())[-1])]
        self._interval = end / (len(kept) - 1)
        self._k = torch.from_numpy(k[: kept.shape[1]])
        self._cosines = torch.from_numpy(np.ascontiguousarray(kept.real))
        self._sines = torch.from_numpy(np.ascontiguousarray(-kept.imag))

    def __call__(self, points: Tensor) -> Tensor:
        """Return the solution, of shape ``(N, 1)``, at points ``(t, x)``, in float64.

        It can be differentiated: in ``t`` once, in ``x`` any number of times.

        Raises:
            DataError: A time is not between 0 and the last.
        """
        t, x = points.double().cpu().unbind(1)
        check_times(t, 0.0, self._end)
        position = t / self._interval
        last = len(self._cosines) - _WINDOW
        first = (position.detach().floor().long() - _WINDOW // 2 + 1).clamp(0, last)
        weights = _lagrange(position - first)
        order = first.argsort(stable=True)
        counts = first.bincount().tolist()
        parts = [
            self._sum(window, weights[rows], x[rows])
            for window, rows in enumerate(torch.split(order, counts))
            if len(rows)
        ]
        u = torch.cat(parts) if parts else x
        return u[order.argsort()].unsqueeze(1).to(points.device)

    def _sum(self, window: int, weights: Tensor, x: Tensor) -> Tensor:
        """Sum the Fourier series at points whose times use the same snapshots."""
        used = slice(window, window + _WINDOW)
        angles = (x - self._left).unsqueeze(1) * self._k
        cosines, sines = weights @ self._cosines[used], weights @ self._sines[used]
        return (cosines * angles.cos() + sines * angles.sin()).sum(1)


def _lagrange(position: Tensor) -> Tensor:
    """Return the Lagrange polynomials of the nodes 0, 1, ... at each position, as a row."""
    nodes = torch.arange(_WINDOW, dtype=position.dtype)
    columns = []
    for node in range(_WINDOW):
        others = torch.cat([nodes[:node], nodes[node + 1 :]])
        columns.append(((position.unsqueeze(1) - others) / (node - others)).prod(1))
    return torch.stack(columns, dim=1)


def _march(
    equation: Semilinear,
    left: float,
    period: float,
    k: _Array,
    end: float,
    resolution: Resolution,
    factor: int,
) -> Iterator[_Array]:
    """Yield the coefficients of the cosines (real part) and minus those of the sines."""
    n = 2 * len(k)
    fine = left + period * np.arange(n * _OVERSAMPLED) / (n * _OVERSAMPLED)
    state = np.fft.rfft(equation.start(fine), norm="forward")[: len(k)]
    multiplier = equation.multiplier(k)

    def slope(coefficients: _Array) -> _Array:
        u = np.fft.irfft(coefficients, n=n, norm="forward")
        product = np.fft.rfft(equation.nonlinear(u), norm="forward")[: len(k)]
        result: _Array = multiplier * product
        return result

    sides = np.where(k == 0, 1.0, 2.0)  # a real series has each positive wave number twice
    yield sides * state
    steps, interval = resolution.steps * factor, end / resolution.intervals
    scheme = _Scheme(equation.linear(k), interval / steps)
    for _ in range(resolution.intervals):
        for _ in range(steps):
            state = scheme.advance(state, slope)
        yield sides * state


class _Scheme:
    """Steps of ETDRK4, whose coefficients are contour integrals."""

    def __init__(self, linear: _Array, dt: float) -> None:
        circle = np.exp(2j * np.pi * (np.arange(_CIRCLE) + 0.5) / _CIRCLE)
        z = dt * linear[:, None] + circle
        e = np.exp(z)

        def mean(values: _Array) -> _Array:
            result: _Array = dt * values.mean(axis=1)
            return result

        self.whole, self.half = np.exp(dt * linear), np.exp(dt * linear / 2)
        self.middle = mean((np.exp(z / 2) - 1) / z)
        self.first = mean((-4 - z + e * (4 - 3 * z + z**2)) / z**3)
        self.second = mean((2 + z + e * (z - 2)) / z**3)
        self.third = mean((-4 - 3 * z - z**2 + e * (4 - z)) / z**3)

    def advance(self, u: _Array, slope: _Function) -> _Array:
        at_u = slope(u)
        a = self.half * u + self.middle * at_u
        at_a = slope(a)
        b = self.half * u + self.middle * at_a
        at_b = slope(b)
        c = self.half * a + self.middle * (2 * at_b - at_u)
        middle = 2 * self.second * (at_a + at_b)
        result: _Array = self.whole * u + self.first * at_u + middle + self.third * slope(c)
        return result
