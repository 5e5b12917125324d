"""The Helmholtz equation of the learning-rate annealing paper."""

from __future__ import annotations

from math import pi
from typing import Any

from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.checks import check_numbers
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.base import Problem, require_whole
from perceptrain_physics.problems.condition import Condition
from perceptrain_physics.problems.points import at_points


class Helmholtz(Problem):
    """``u_xx + u_yy + k^2 u = q`` on ``[-1, 1]^2``, with ``u = 0`` on the boundary.

    From arXiv 2001.04536. The solution is ``u = sin(a pi x) sin(b pi y)``, and ``q`` is chosen to
    match. Conditions: "pde" and "boundary", the sum over the four sides.

    Args:
        a: Number of full waves in ``x``, a whole number.
        b: Number of full waves in ``y``. The residual grows with its square, so that training
            neglects the boundary.
        k: The wave number.
        hard: Whether the model satisfies the boundary condition by construction.

    Raises:
        ConfigError: ``a`` or ``b`` is not a whole number above 0, or ``k`` is not a number.
    """

    inputs = "xy"

    def __init__(self, a: int = 1, b: int = 4, k: float = 1.0, *, hard: bool = False) -> None:
        super().__init__(Box([-1, -1], [1, 1]), hard)
        require_whole(self, a=a, b=b)
        check_numbers(type(self).__name__, k=k)
        self.a, self.b, self.k = a, b, k

    def conditions(self) -> dict[str, Condition]:
        """Return the equation and the boundary condition."""
        return {
            "pde": Condition(self._residual, self.box.inside),
            "boundary": Condition(lambda x, u: u(x), self.box.faces(), terms=4),
        }

    def distance(self, points: Tensor) -> Tensor:
        """Return the distance of the hard model."""
        return (1 - points**2).prod(-1, keepdim=True)

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return the solution, of shape ``(N, 1)``."""
        x, y = points[:, :1], points[:, 1:]
        return (self.a * pi * x).sin() * (self.b * pi * y).sin()

    def _residual(self, points: Tensor, network: Any) -> Tensor:
        u, u_xx, u_yy = partials(network, points, "", "xx", "yy")
        q = (self.k**2 - (self.a**2 + self.b**2) * pi**2) * self.exact(points)
        return u_xx + u_yy + self.k**2 * u - q
