"""The Kuramoto-Sivashinsky equation, of fourth order, regular or chaotic."""

from __future__ import annotations

from functools import cache
from math import pi
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.checks import check_flags
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.periodic_problem import PeriodicProblem
from perceptrain_physics.problems.points import at_points
from perceptrain_physics.problems.spectral import Resolution, Semilinear, SpectralSolution


class Setting(NamedTuple):
    """The coefficients of the equation, the ends of the period, and the resolution."""

    alpha: float
    beta: float
    gamma: float
    ends: tuple[float, float]
    resolution: Resolution


REGULAR = Setting(5.0, 0.5, 0.005, (-1, 1), Resolution(modes=64, intervals=1000, steps=8))
CHAOTIC = Setting(
    100 / 16, 100 / 16**2, 100 / 16**4, (0, 2 * pi), Resolution(256, intervals=1000, steps=16)
)


class KuramotoSivashinsky(PeriodicProblem):
    """``u_t + alpha u u_x + beta u_xx + gamma u_xxxx = 0``, ``t`` in ``[0, 1]``, periodic in ``x``.

    From Wang, Sankaran, Perdikaris, "Respecting causality is all you need for training
    physics-informed neural networks", arXiv 2203.07404. Regular: ``alpha = 5``, ``beta = 0.5``,
    ``gamma = 0.005``, and initially ``u = -sin(pi x)`` on ``[-1, 1]``. Chaotic: ``100 / 16``,
    ``100 / 16^2``, ``100 / 16^4``, and ``u = cos(x) (1 + sin(x))`` on ``[0, 2 pi]``. Conditions:
    "pde", "initial" and "boundary".

    The reference is a Fourier solution with an error of about 1e-9, or 2e-8 in the chaotic case,
    where differences as small as those of rounding grow.

    Args:
        chaotic: Which of the two settings.
        hard: Whether the model has the initial value and the period by construction.

    Raises:
        ConfigError: ``chaotic`` is not a bool.
    """

    def __init__(self, chaotic: bool = False, *, hard: bool = False) -> None:
        check_flags(type(self).__name__, chaotic=chaotic)
        self.setting = CHAOTIC if chaotic else REGULAR
        left, right = self.setting.ends
        super().__init__(Box([0, left], [1, right]), order=4, hard=hard)
        self.chaotic = chaotic

    def start(self, x: Tensor) -> Tensor:
        """Return the initial value."""
        return x.cos() * (1 + x.sin()) if self.chaotic else -(pi * x).sin()

    def residual(self, points: Tensor, network: Any) -> Tensor:
        """Return the residual of the equation."""
        orders = ("", "t", "x", "xx", "xxxx")
        u, u_t, u_x, u_xx, u_xxxx = partials(network, points, *orders, names=self.inputs)
        alpha, beta, gamma = self.setting[:3]
        return u_t + alpha * u * u_x + beta * u_xx + gamma * u_xxxx

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return the reference, of shape ``(N, 1)``; it is differentiable once in ``t``."""
        return reference(self.setting, self.setting.resolution)(points).to(points.dtype)


@cache
def reference(setting: Setting, resolution: Resolution) -> SpectralSolution:
    """Compute the reference; a second call returns the same."""
    alpha, beta, gamma = setting[:3]
    regular = setting == REGULAR
    equation = Semilinear(
        linear=lambda k: beta * k**2 - gamma * k**4,
        multiplier=lambda k: -0.5j * alpha * k,
        nonlinear=np.square,
        start=lambda x: -np.sin(pi * x) if regular else np.cos(x) * (1 + np.sin(x)),
    )
    return SpectralSolution(equation, setting.ends, 1.0, resolution)
