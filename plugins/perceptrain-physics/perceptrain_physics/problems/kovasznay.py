"""Kovasznay's steady flow behind a grid, an exact solution of the Navier-Stokes equations."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import torch
from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.checks import check_numbers
from perceptrain_physics.problems.base import Problem
from perceptrain_physics.problems.condition import Condition
from perceptrain_physics.problems.points import at_points
from perceptrain_physics.problems.steady_flow import navier_stokes


class Kovasznay(Problem):
    """Steady incompressible flow, ``(u, v)`` with pressure ``p``, at a Reynolds number ``re``.

    ``u u_x + v u_y + p_x = (u_xx + u_yy) / re``, ``u v_x + v v_y + p_y = (v_xx + v_yy) / re`` and
    ``u_x + v_y = 0`` for ``x`` in ``[-0.5, 1]`` and ``y`` in ``[-0.5, 1.5]``. The solution of L. I.
    G. Kovasznay, Proc. Camb. Phil. Soc. 44, 1948: ``u = 1 - exp(l x) cos(2 pi y)``,
    ``v = l / (2 pi) exp(l x) sin(2 pi y)``, ``p = (1 - exp(2 l x)) / 2``, with
    ``l = re / 2 - sqrt(re^2 / 4 + 4 pi^2)``. Conditions: "pde", the sum over the three equations;
    "boundary", the velocity on the four sides, the sum over both components; "pressure", on the
    side ``x = 1``. Networks have three outputs.

    Args:
        re: The Reynolds number.
        hard: Whether the model satisfies "boundary" and "pressure" by construction. Between the
            sides the given velocity is interpolated.

    Raises:
        ConfigError: ``re`` is not above 0.
    """

    inputs = "xy"
    outputs = 3
    built_in = ("boundary", "pressure")

    def __init__(self, re: float = 40.0, *, hard: bool = False) -> None:
        check_numbers(type(self).__name__, re=re, above=0, advice="It is the Reynolds number.")
        super().__init__(Box([-0.5, -0.5], [1, 1.5]), hard)
        self.re = re

    def conditions(self) -> dict[str, Condition]:
        """Return the equations, the velocity on all sides and the pressure on one."""
        return {
            "pde": Condition(self._residual, self.box.inside, terms=3),
            "boundary": Condition(self._velocity, self.box.faces(), terms=2),
            "pressure": Condition(self._pressure, self.box.face(0, self.box.high[0])),
        }

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return velocity and pressure, of shape ``(N, 3)``."""
        return self._solution(points)

    def _solution(self, points: Tensor) -> Tensor:
        x, y = points[..., :1], 2 * pi * points[..., 1:]
        rate = self.re / 2 - sqrt(self.re**2 / 4 + 4 * pi**2)
        decay = (rate * x).exp()
        u, v = 1 - decay * y.cos(), rate / (2 * pi) * decay * y.sin()
        return torch.cat([u, v, (1 - decay**2) / 2], dim=-1)

    def distance(self, points: Tensor) -> Tensor:
        """Return the distances of the hard model, of shape ``(N, 3)``."""
        s, r = self._relative(points)
        sides = 16 * s * (1 - s) * r * (1 - r)
        return torch.cat([sides, sides, 1 - s], dim=-1)

    def value(self, points: Tensor) -> Tensor:
        """Return the given values, interpolated between the sides (a Coons patch)."""
        x, y = points[..., :1], points[..., 1:]
        s, r = self._relative(points)
        low, high = self.box.low, self.box.high

        def given(x: Tensor, y: Tensor) -> Tensor:
            return self._solution(torch.cat([x, y], dim=-1))

        left, right = (torch.full_like(x, end) for end in (low[0], high[0]))
        below, above = (torch.full_like(y, end) for end in (low[1], high[1]))
        along_x = (1 - s) * given(left, y) + s * given(right, y)
        along_y = (1 - r) * given(x, below) + r * given(x, above)
        corners = (1 - s) * ((1 - r) * given(left, below) + r * given(left, above))
        corners = corners + s * ((1 - r) * given(right, below) + r * given(right, above))
        velocity = (along_x + along_y - corners)[..., :2]
        return torch.cat([velocity, given(right, y)[..., 2:]], dim=-1)

    def _relative(self, points: Tensor) -> tuple[Tensor, Tensor]:
        low, high = torch.tensor(self.box.low), torch.tensor(self.box.high)
        relative = (points - low.to(points)) / (high - low).to(points)
        return relative[..., :1], relative[..., 1:]

    def _residual(self, points: Tensor, network: Any) -> Tensor:
        return navier_stokes(points, network, self.re)

    def _velocity(self, points: Tensor, network: Any) -> Tensor:
        residual: Tensor = (network(points) - self.exact(points))[:, :2]
        return residual

    def _pressure(self, points: Tensor, network: Any) -> Tensor:
        residual: Tensor = (network(points) - self.exact(points))[:, 2:]
        return residual
