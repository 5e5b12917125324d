"""Advection at a high speed, which a PINN learns only slowly."""

from __future__ import annotations

from math import pi
from typing import Any

from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.checks import check_numbers
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.periodic_problem import PeriodicProblem
from perceptrain_physics.problems.points import at_points


class Advection(PeriodicProblem):
    """``u_t + c u_x = 0`` for ``t`` in ``[0, 1]`` and ``x`` in ``[0, 2 pi]``, periodic.

    From Krishnapriyan et al., "Characterizing possible failure modes in physics-informed neural
    networks", arXiv 2109.01050, where training fails for ``c`` of 30 and more. The solution is
    ``u = sin(x - c t)``. Conditions: "pde", "initial" and "boundary".

    Args:
        c: The speed.
        hard: Whether the model has the initial value and the period by construction.

    Raises:
        ConfigError: ``c`` is not a number.
    """

    def __init__(self, c: float = 30.0, *, hard: bool = False) -> None:
        super().__init__(Box([0, 0], [1, 2 * pi]), order=1, hard=hard)
        check_numbers(type(self).__name__, c=c)
        self.c = c

    def start(self, x: Tensor) -> Tensor:
        """Return the initial value."""
        return x.sin()

    def residual(self, points: Tensor, network: Any) -> Tensor:
        """Return the residual of the equation."""
        u_t, u_x = partials(network, points, "t", "x", names=self.inputs)
        return u_t + self.c * u_x

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return the solution, of shape ``(N, 1)``."""
        return (points[:, 1:] - self.c * points[:, :1]).sin()
