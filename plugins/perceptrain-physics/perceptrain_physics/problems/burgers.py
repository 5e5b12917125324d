"""Burgers' equation, whose solution steepens to a shock."""

from __future__ import annotations

from math import inf, pi
from typing import Any

import torch
from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.checks import check_numbers
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.base import Problem
from perceptrain_physics.problems.condition import Condition
from perceptrain_physics.problems.points import at_points, check_times

# Beyond _REACH, exp(-z^2) is negligible even where the other factor is exp(100) times larger.
_REACH, _NODES, _AT_ONCE = 12.0, 1200, 1000

#: For a viscosity that is too small.
ADVICE = "With a smaller viscosity the reference solution is inaccurate."


class Burgers(Problem):
    """``u_t + u u_x = nu u_xx`` for ``t`` in ``[0, 1]`` and ``x`` in ``[-1, 1]``.

    From Raissi, Perdikaris, Karniadakis, J. Comput. Phys. 378, 2019: ``u = -sin(pi x)`` initially,
    and ``u = 0`` at both ends. Conditions: "pde", "initial" and "boundary", the mean over both
    ends. The reference solution is the Cole-Hopf transform, integrated with the trapezoidal rule in
    float64, which is exact up to rounding.

    Args:
        nu: The viscosity, at least 0.003.
        hard: Whether the model satisfies the initial and the boundary condition by construction.

    Raises:
        ConfigError: ``nu`` is below 0.003, where the reference solution becomes inaccurate.
    """

    inputs = "tx"

    def __init__(self, nu: float = 0.01 / pi, *, hard: bool = False) -> None:
        check_numbers(type(self).__name__, nu=nu, at_least=0.003, advice=ADVICE)
        super().__init__(Box([0, -1], [1, 1]), hard)
        self.nu = nu

    def conditions(self) -> dict[str, Condition]:
        """Return the equation, the initial condition and the boundary condition."""
        return {
            "pde": Condition(self._residual, self.box.inside),
            "initial": Condition(self._initial, self.box.face(0, 0.0)),
            "boundary": Condition(lambda x, u: u(x), self.box.faces(1)),
        }

    def distance(self, points: Tensor) -> Tensor:
        """Return the distance of the hard model."""
        return points[..., :1] * (1 - points[..., 1:] ** 2)

    def value(self, points: Tensor) -> Tensor:
        """Return the given values of the hard model."""
        return -(pi * points[..., 1:]).sin()

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return the reference, of shape ``(N, 1)``; it is differentiable where ``t > 0``."""
        check_times(points[:, 0], 0.0, inf)
        parts = [self._cole_hopf(part) for part in torch.split(points.double(), _AT_ONCE)]
        return torch.cat(parts).to(points.dtype)

    def _cole_hopf(self, points: Tensor) -> Tensor:
        t, x = points[:, :1], points[:, 1:]
        z = torch.linspace(-_REACH, _REACH, _NODES, dtype=torch.float64, device=points.device)
        y = pi * (x - z * (4 * self.nu * t).sqrt())
        # The softmax is the quotient of the two integrals, and cannot overflow.
        weights = torch.softmax(-z.square() - y.cos() / (2 * pi * self.nu), dim=1)
        return -(weights * y.sin()).sum(1, keepdim=True)

    def _residual(self, points: Tensor, network: Any) -> Tensor:
        u, u_t, u_x, u_xx = partials(network, points, "", "t", "x", "xx", names=self.inputs)
        return u_t + u * u_x - self.nu * u_xx

    def _initial(self, points: Tensor, network: Any) -> Tensor:
        residual: Tensor = network(points) + (pi * points[:, 1:]).sin()
        return residual
