"""The Klein-Gordon equation of the learning-rate annealing paper."""

from __future__ import annotations

from math import pi
from typing import Any

from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.base import Problem, side_by_side
from perceptrain_physics.problems.condition import Condition
from perceptrain_physics.problems.points import at_points


class KleinGordon(Problem):
    """``u_tt - u_xx + u^3 = f`` for ``t`` and ``x`` in ``[0, 1]``.

    From arXiv 2001.04536. The solution is ``u = x cos(5 pi t) + (x t)^3``, and ``f`` is chosen to
    match. Conditions: "pde"; "initial", the sum of ``u = x`` and ``u_t = 0`` at ``t = 0``;
    "boundary", the sum over both ends.

    Args:
        hard: Whether the model satisfies the initial and the boundary condition by construction.
    """

    inputs = "tx"

    def __init__(self, *, hard: bool = False) -> None:
        super().__init__(Box([0, 0], [1, 1]), hard)

    def conditions(self) -> dict[str, Condition]:
        """Return the equation, the initial condition and the boundary condition."""
        return {
            "pde": Condition(self._residual, self.box.inside),
            "initial": Condition(self._initial, self.box.face(0, 0.0), terms=2),
            "boundary": Condition(self._boundary, self.box.faces(1), terms=2),
        }

    def distance(self, points: Tensor) -> Tensor:
        """Return the distance of the hard model."""
        t, x = points[..., :1], points[..., 1:]
        return 4 * t**2 * x * (1 - x)

    def value(self, points: Tensor) -> Tensor:
        """Return the given values of the hard model."""
        t, x = points[..., :1], points[..., 1:]
        return x * ((5 * pi * t).cos() + t**3)

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return the solution, of shape ``(N, 1)``."""
        t, x = points[:, :1], points[:, 1:]
        return x * (5 * pi * t).cos() + (x * t) ** 3

    def _residual(self, points: Tensor, network: Any) -> Tensor:
        t, x = points[:, :1], points[:, 1:]
        u, u_tt, u_xx = partials(network, points, "", "tt", "xx", names=self.inputs)
        exact_tt = -25 * pi**2 * x * (5 * pi * t).cos() + 6 * t * x**3
        exact_xx = 6 * x * t**3
        f = exact_tt - exact_xx + self.exact(points) ** 3
        return u_tt - u_xx + u**3 - f

    def _initial(self, points: Tensor, network: Any) -> Tensor:
        u, u_t = partials(network, points, "", "t", names=self.inputs)
        return side_by_side(u - points[:, 1:], u_t)

    def _boundary(self, points: Tensor, network: Any) -> Tensor:
        residual: Tensor = network(points) - self.exact(points)
        return residual
