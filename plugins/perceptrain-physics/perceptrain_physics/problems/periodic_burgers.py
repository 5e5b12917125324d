"""Burgers' equation as a periodic problem."""

from __future__ import annotations

from math import pi
from typing import Any

from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.checks import check_numbers
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.burgers import ADVICE, Burgers
from perceptrain_physics.problems.periodic_problem import PeriodicProblem


class PeriodicBurgers(PeriodicProblem):
    """``u_t + u u_x = nu u_xx`` for ``t`` in ``[0, 1]`` and ``x`` in ``[-1, 1]``, periodic.

    The solution is that of `Burgers`: as the initial value ``-sin(pi x)`` is odd, the periodic
    solution is zero at both ends. Conditions: "pde", "initial" and "boundary".

    Args:
        nu: The viscosity, at least 0.003.
        hard: Whether the model has the initial value and the period by construction.

    Raises:
        ConfigError: ``nu`` is below 0.003, where the reference solution becomes inaccurate.
    """

    def __init__(self, nu: float = 0.01 / pi, *, hard: bool = False) -> None:
        check_numbers(type(self).__name__, nu=nu, at_least=0.003, advice=ADVICE)
        super().__init__(Box([0, -1], [1, 1]), order=2, hard=hard)
        self._burgers = Burgers(nu)
        self.nu = nu

    def start(self, x: Tensor) -> Tensor:
        """Return the initial value."""
        return -(pi * x).sin()

    def residual(self, points: Tensor, network: Any) -> Tensor:
        """Return the residual of the equation."""
        u, u_t, u_x, u_xx = partials(network, points, "", "t", "x", "xx", names=self.inputs)
        return u_t + u * u_x - self.nu * u_xx

    def exact(self, points: Tensor) -> Tensor:
        """Return the reference, of shape ``(N, 1)``; it is differentiable where ``t > 0``."""
        return self._burgers.exact(points)
