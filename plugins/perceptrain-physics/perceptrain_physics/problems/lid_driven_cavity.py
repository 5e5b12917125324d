"""The flow in a square cavity that a moving lid drives, with an exact solution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.checks import check_numbers
from perceptrain_physics.problems.base import Problem
from perceptrain_physics.problems.condition import Condition
from perceptrain_physics.problems.points import at_points
from perceptrain_physics.problems.steady_flow import navier_stokes


class LidDrivenCavity(Problem):
    """Steady incompressible flow in ``[0, 1]^2``, at rest on all sides but the lid ``y = 1``.

    The regularized cavity of Shih, Tan, Hwang, Int. J. Numer. Methods Fluids 9, 1989: the lid moves
    with the velocity ``16 x^2 (1 - x)^2``, and a vertical force, which is given, makes
    ``u = 8 f(x) g'(y)``, ``v = -8 f'(x) g(y)`` with ``f = x^4 - 2 x^3 + x^2`` and
    ``g = y^4 - y^2`` a solution. Conditions: "pde", the sum over both momentum equations and
    continuity; "boundary", the velocity on the four sides, the sum over both components;
    "pressure", zero on the side ``x = 0``. Networks have three outputs: ``u``, ``v``, ``p``.

    Args:
        re: The Reynolds number.
        hard: Whether the model satisfies "boundary" and "pressure" by construction.

    Raises:
        ConfigError: ``re`` is not above 0.
    """

    inputs = "xy"
    outputs = 3
    built_in = ("boundary", "pressure")

    def __init__(self, re: float = 100.0, *, hard: bool = False) -> None:
        check_numbers(type(self).__name__, re=re, above=0, advice="It is the Reynolds number.")
        super().__init__(Box([0, 0], [1, 1]), hard)
        self.re = re

    def conditions(self) -> dict[str, Condition]:
        """Return the equations, the velocity on all sides and the pressure on one."""
        return {
            "pde": Condition(self._residual, self.box.inside, terms=3),
            "boundary": Condition(self._velocity, self.box.faces(), terms=2),
            "pressure": Condition(lambda x, u: u(x)[:, 2:], self.box.face(0, 0.0)),
        }

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return velocity and pressure, of shape ``(N, 3)``."""
        (integral, f, f_1, _, _), (g, g_1, g_2, g_3) = _factors(points)
        p = 8 / self.re * (f_1 * g_1 + integral * g_3) - 32 * f**2 * (g_1**2 - g * g_2)
        return torch.cat([8 * f * g_1, -8 * f_1 * g, p], dim=-1)

    def force(self, points: Tensor) -> Tensor:
        """Return the vertical force, of shape ``(N, 1)``; the horizontal one is zero."""
        (integral, f, f_1, f_2, f_3), (g, g_1, g_2, g_3) = _factors(points)
        inertia = 64 * g * g_1 * (f_1**2 - f * f_2) - 32 * f**2 * (g_1 * g_2 - g * g_3)
        return inertia + 8 / self.re * (2 * f_1 * g_2 + 24 * integral + f_3 * g)

    def distance(self, points: Tensor) -> Tensor:
        """Return the distances of the hard model, of shape ``(N, 3)``."""
        sides = (4 * points * (1 - points)).prod(-1, keepdim=True)
        return torch.cat([sides, sides, points[..., :1]], dim=-1)

    def value(self, points: Tensor) -> Tensor:
        """Return the given values of the hard model, of shape ``(N, 3)``."""
        x, y = points[..., :1], points[..., 1:]
        return torch.cat([16 * x**2 * (1 - x) ** 2 * y, torch.zeros_like(points)], dim=-1)

    def _residual(self, points: Tensor, network: Any) -> Tensor:
        force = self.force(points)
        forces = torch.cat([torch.zeros_like(force), force, torch.zeros_like(force)], dim=1)
        return navier_stokes(points, network, self.re) - forces

    def _velocity(self, points: Tensor, network: Any) -> Tensor:
        residual: Tensor = (network(points) - self.value(points))[:, :2]
        return residual


def _factors(points: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the integral, ``f`` and its derivatives, and ``g`` and its derivatives."""
    x, y = points[..., :1], points[..., 1:]
    f = x**4 - 2 * x**3 + x**2
    slopes = 4 * x**3 - 6 * x**2 + 2 * x, 12 * x**2 - 12 * x + 2, 24 * x - 12
    g = y**4 - y**2, 4 * y**3 - 2 * y, 12 * y**2 - 2, 24 * y
    return (x**5 / 5 - x**4 / 2 + x**3 / 3, f, *slopes), g
