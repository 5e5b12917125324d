"""The Korteweg-de Vries equation, whose solution breaks up into solitons."""

from __future__ import annotations

from functools import cache
from math import pi
from typing import Any

import numpy as np
from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.checks import check_numbers
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.periodic_problem import PeriodicProblem
from perceptrain_physics.problems.points import at_points
from perceptrain_physics.problems.spectral import Resolution, Semilinear, SpectralSolution

RESOLUTION = Resolution(modes=192, intervals=2000, steps=4)


class KortewegDeVries(PeriodicProblem):
    """``u_t + u u_x + mu^2 u_xxx = 0`` for ``t`` in ``[0, 1]`` and ``x`` in ``[-1, 1]``, periodic.

    From Zabusky, Kruskal, Phys. Rev. Lett. 15, 1965. Initially ``u = cos(pi x)``. Conditions:
    "pde", "initial" and "boundary". The reference is a Fourier solution with an error below 1e-9.

    Args:
        mu: The dispersion, at least 0.022.
        hard: Whether the model has the initial value and the period by construction.

    Raises:
        ConfigError: ``mu`` is below 0.022, where the reference becomes inaccurate.
    """

    def __init__(self, mu: float = 0.022, *, hard: bool = False) -> None:
        super().__init__(Box([0, -1], [1, 1]), order=3, hard=hard)
        advice = "With a smaller dispersion the reference solution is inaccurate."
        check_numbers(type(self).__name__, mu=mu, at_least=0.022, advice=advice)
        self.mu = mu

    def start(self, x: Tensor) -> Tensor:
        """Return the initial value."""
        return (pi * x).cos()

    def residual(self, points: Tensor, network: Any) -> Tensor:
        """Return the residual of the equation."""
        u, u_t, u_x, u_xxx = partials(network, points, "", "t", "x", "xxx", names=self.inputs)
        return u_t + u * u_x + self.mu**2 * u_xxx

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return the reference, of shape ``(N, 1)``; it is differentiable once in ``t``."""
        return reference(self.mu)(points).to(points.dtype)


@cache
def reference(mu: float, resolution: Resolution = RESOLUTION) -> SpectralSolution:
    """Compute the reference; a second call returns the same."""
    equation = Semilinear(
        linear=lambda k: 1j * mu**2 * k**3,
        multiplier=lambda k: -0.5j * k,
        nonlinear=np.square,
        start=lambda x: np.cos(pi * x),
    )
    return SpectralSolution(equation, (-1, 1), 1.0, resolution)
