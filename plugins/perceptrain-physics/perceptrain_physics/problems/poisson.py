"""Poisson's equation in any number of dimensions."""

from __future__ import annotations

from math import pi
from typing import Any

from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.derivatives import laplacian
from perceptrain_physics.problems.base import Problem, require_whole
from perceptrain_physics.problems.condition import Condition
from perceptrain_physics.problems.points import at_points


class Poisson(Problem):
    """``laplacian(u) = f`` on ``[0, 1]^d``, with ``u = 0`` on the boundary.

    The solution is the product of ``sin(k pi x)`` over the coordinates, and ``f`` is chosen to
    match. Conditions: "pde" and "boundary", the mean over all faces.

    Args:
        d: The number of dimensions.
        k: Number of half waves along each axis.
        hard: Whether the model satisfies the boundary condition by construction.

    Raises:
        ConfigError: ``d`` or ``k`` is not a whole number above 0.
    """

    def __init__(self, d: int = 2, k: int = 1, *, hard: bool = False) -> None:
        require_whole(self, d=d, k=k)
        d = int(d)
        super().__init__(Box([0] * d, [1] * d), hard)
        self.inputs = [f"x{axis}" for axis in range(d)]
        self.k = k

    def conditions(self) -> dict[str, Condition]:
        """Return the equation and the boundary condition."""
        return {
            "pde": Condition(self._residual, self.box.inside),
            "boundary": Condition(lambda x, u: u(x), self.box.faces()),
        }

    def distance(self, points: Tensor) -> Tensor:
        """Return the distance of the hard model."""
        return (4 * points * (1 - points)).prod(-1, keepdim=True)

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return the solution, of shape ``(N, 1)``."""
        return (self.k * pi * points).sin().prod(1, keepdim=True)

    def _residual(self, points: Tensor, network: Any) -> Tensor:
        f = -points.shape[1] * (self.k * pi) ** 2 * self.exact(points)
        return laplacian(network(points), points) - f
