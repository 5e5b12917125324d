"""Van der Pol's oscillator, a stiff ordinary differential equation."""

from __future__ import annotations

from functools import cache
from math import ceil
from typing import Any

import torch
from torch import Tensor

from perceptrain_physics.checks import check_numbers
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.initial_value_problem import InitialValueProblem
from perceptrain_physics.problems.points import at_points, check_times

# With steps of _STEP / mu, the terms of the series fall below rounding long before _ORDER.
_STEP, _ORDER = 0.05, 25


class VanDerPol(InitialValueProblem):
    """``u'' = mu (1 - u^2) u' - u`` for ``t`` from 0 to ``end``.

    Initially ``u = 2`` and ``u' = 0``: the solution creeps towards 1 and then jumps to -2, the more
    sharply the larger ``mu`` is. Conditions: "ode", divided by ``mu``, and "initial", the sum of
    both. The reference is a Taylor series in each of many short steps, exact up to rounding.

    Args:
        mu: The damping, from 1 to 100; the jump is near ``0.8 mu``.
        end: The last time.
        hard: Whether the model satisfies the initial conditions by construction.

    Raises:
        ConfigError: ``mu`` or ``end`` is out of range.
    """

    def __init__(self, mu: float = 5.0, end: float = 8.0, *, hard: bool = False) -> None:
        check_numbers(type(self).__name__, mu=mu, at_least=1, at_most=100)
        check_numbers(type(self).__name__, end=end, above=0)
        super().__init__(2.0, end, hard)
        self.mu, self.end = mu, end

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return the reference, of shape ``(N, 1)``; it is differentiable."""
        check_times(points, 0.0, self.end)
        step, series = _series(self.mu, self.end)
        t = points.double()
        number = (t.detach() / step).floor().long().clamp(0, len(series) - 1)
        coefficients, since = series.to(t)[number[:, 0]], t - number.to(t) * step
        u = torch.zeros_like(t)
        for order in range(_ORDER, -1, -1):
            u = u * since + coefficients[:, order : order + 1]
        return u.to(points.dtype)

    def residual(self, points: Tensor, network: Any) -> Tensor:
        """Return the residual of the equation."""
        u, u_t, u_tt = partials(network, points, "", "t", "tt", names=self.inputs)
        return (u_tt + u) / self.mu - (1 - u**2) * u_t


@cache
def _series(mu: float, end: float) -> tuple[float, Tensor]:
    """Return the length of a step, and the Taylor coefficients of ``u`` in each, one row a step."""
    steps = ceil(end * mu / _STEP)
    length = end / steps
    powers = [length**order for order in range(_ORDER + 1)]
    rows, u, v = [], 2.0, 0.0
    for _ in range(steps):
        series, slopes = _taylor(mu, u, v)
        rows.append(series)
        u = sum(a * power for a, power in zip(series, powers, strict=True))
        v = sum(b * power for b, power in zip(slopes, powers, strict=False))
    return length, torch.tensor(rows, dtype=torch.float64)


def _taylor(mu: float, u: float, v: float) -> tuple[list[float], list[float]]:
    """Return the Taylor coefficients of ``u`` and of its derivative, from their values."""
    a, b, squares = [u], [v], [u * u]
    for k in range(_ORDER):
        damping = b[k] - sum(squares[j] * b[k - j] for j in range(k + 1))
        b.append((mu * damping - a[k]) / (k + 1))
        a.append(b[k] / (k + 1))
        squares.append(sum(a[j] * a[k + 1 - j] for j in range(k + 2)))
    return a, b
