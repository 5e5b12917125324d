"""The wave equation, with two modes of very different frequency."""

from __future__ import annotations

from math import pi
from typing import Any

from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.checks import check_numbers
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.base import Problem, side_by_side
from perceptrain_physics.problems.condition import Condition
from perceptrain_physics.problems.points import at_points


class Wave(Problem):
    """``u_tt = c^2 u_xx`` for ``t`` and ``x`` in ``[0, 1]``, with ``u = 0`` at both ends.

    From Wang, Yu, Perdikaris, "When and why PINNs fail to train", arXiv 2007.14527. Initially
    ``u = sin(pi x) + sin(4 pi x) / 2``, at rest. Conditions: "pde"; "initial", the sum of both
    initial conditions; "boundary", the mean over both ends.

    Args:
        c: The wave speed.
        hard: Whether the model satisfies the initial and the boundary condition by construction.

    Raises:
        ConfigError: ``c`` is not a number.
    """

    inputs = "tx"

    def __init__(self, c: float = 2.0, *, hard: bool = False) -> None:
        super().__init__(Box([0, 0], [1, 1]), hard)
        check_numbers(type(self).__name__, c=c)
        self.c = c

    def conditions(self) -> dict[str, Condition]:
        """Return the equation, the initial condition and the boundary condition."""
        return {
            "pde": Condition(self._residual, self.box.inside),
            "initial": Condition(self._initial, self.box.face(0, 0.0), terms=2),
            "boundary": Condition(lambda x, u: u(x), self.box.faces(1)),
        }

    def distance(self, points: Tensor) -> Tensor:
        """Return the distance of the hard model."""
        t, x = points[..., :1], points[..., 1:]
        return 4 * t**2 * x * (1 - x)

    def value(self, points: Tensor) -> Tensor:
        """Return the given values of the hard model."""
        x = pi * points[..., 1:]
        return x.sin() + (4 * x).sin() / 2

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return the solution, of shape ``(N, 1)``."""
        t, x = pi * points[:, :1], pi * points[:, 1:]
        slow = x.sin() * (self.c * t).cos()
        return slow + (4 * x).sin() * (4 * self.c * t).cos() / 2

    def _residual(self, points: Tensor, network: Any) -> Tensor:
        u_tt, u_xx = partials(network, points, "tt", "xx", names=self.inputs)
        return u_tt - self.c**2 * u_xx

    def _initial(self, points: Tensor, network: Any) -> Tensor:
        u, u_t = partials(network, points, "", "t", names=self.inputs)
        x = pi * points[:, 1:]
        return side_by_side(u - x.sin() - (4 * x).sin() / 2, u_t)
