"""The heat equation on a rod."""

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


class Heat(Problem):
    """``u_t = a u_xx`` for ``t`` and ``x`` in ``[0, 1]``, with ``u = 0`` at both ends.

    The initial value ``sin(k pi x)`` decays as ``exp(-a k^2 pi^2 t)``. Conditions: "pde", "initial"
    and "boundary", the mean over both ends.

    Args:
        a: The diffusivity.
        k: Number of half waves of the initial value.
        hard: Whether the model satisfies the initial and the boundary condition by construction.

    Raises:
        ConfigError: ``a`` is not a number, or ``k`` is not a whole number above 0.
    """

    inputs = "tx"

    def __init__(self, a: float = 0.1, k: int = 1, *, hard: bool = False) -> None:
        super().__init__(Box([0, 0], [1, 1]), hard)
        require_whole(self, k=k)
        check_numbers(type(self).__name__, a=a)
        self.a, self.k = a, k

    def conditions(self) -> dict[str, Condition]:
        """Return the equation, the initial condition and the boundary condition."""
        return {
            "pde": Condition(self._residual, self.box.inside),
            "initial": Condition(self._initial, self.box.face(0, 0.0)),
            "boundary": Condition(lambda x, u: u(x), self.box.faces(1)),
        }

    def distance(self, points: Tensor) -> Tensor:
        """Return the distance of the hard model."""
        t, x = points[..., :1], points[..., 1:]
        return 4 * t * x * (1 - x)

    def value(self, points: Tensor) -> Tensor:
        """Return the given values of the hard model."""
        return (self.k * pi * points[..., 1:]).sin()

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return the solution, of shape ``(N, 1)``."""
        t, x = points[:, :1], points[:, 1:]
        return (-self.a * (self.k * pi) ** 2 * t).exp() * (self.k * pi * x).sin()

    def _residual(self, points: Tensor, network: Any) -> Tensor:
        u_t, u_xx = partials(network, points, "t", "xx", names=self.inputs)
        return u_t - self.a * u_xx

    def _initial(self, points: Tensor, network: Any) -> Tensor:
        residual: Tensor = network(points) - (self.k * pi * points[:, 1:]).sin()
        return residual
