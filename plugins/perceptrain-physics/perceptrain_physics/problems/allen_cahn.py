"""The Allen-Cahn equation, whose solution forms sharp fronts."""

from __future__ import annotations

from functools import cache
from math import pi
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.periodic_problem import PeriodicProblem
from perceptrain_physics.problems.points import at_points
from perceptrain_physics.problems.spectral import Resolution, Semilinear, SpectralSolution

DIFFUSION = 1e-4
RESOLUTION = Resolution(modes=1024, intervals=1000)


class AllenCahn(PeriodicProblem):
    """``u_t = 1e-4 u_xx - 5 u^3 + 5 u`` for ``t`` in ``[0, 1]`` and ``x`` in ``[-1, 1]``, periodic.

    From Raissi, Perdikaris, Karniadakis, J. Comput. Phys. 378, 2019. Initially
    ``u = x^2 cos(pi x)``. Conditions: "pde", "initial" and "boundary".

    The reference is a Fourier solution with an error below 1e-9 from ``t = 0.01`` on. The initial
    value has a kink where the period ends, which diffusion smooths at once: before, the reference
    has an error of up to 1e-6 near it.

    The hard model is ``u = g + t * network`` with a ``g`` in which the kink diffuses as in the heat
    equation. With ``g = x^2 cos(pi x)`` the kink would stay, as if a source were there.

    Args:
        hard: Whether the model has the initial value and the period by construction.
    """

    def __init__(self, *, hard: bool = False) -> None:
        super().__init__(Box([0, -1], [1, 1]), order=2, hard=hard)

    def start(self, x: Tensor) -> Tensor:
        """Return the initial value."""
        return x**2 * (pi * x).cos()

    def value(self, points: Tensor) -> Tensor:
        """Return the given values of the hard model: the initial value, with a smoothed kink."""
        t, x = points[..., :1], points[..., 1:]
        # Near an end, u = -1 + 2 s + ... with the distance s: 2 s is replaced by its diffusion.
        width = (4 * DIFFUSION * t).clamp_min(1e-12).sqrt()
        smoothed = self.start(x)
        for s in (1 - x, 1 + x):
            z = s / width
            smoothed = smoothed + 2 * width * ((-z.square()).exp() / pi**0.5 - z * torch.erfc(z))
        return smoothed

    def residual(self, points: Tensor, network: Any) -> Tensor:
        """Return the residual of the equation."""
        u, u_t, u_xx = partials(network, points, "", "t", "xx", names=self.inputs)
        return u_t - DIFFUSION * u_xx + 5 * u**3 - 5 * u

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return the reference, of shape ``(N, 1)``; it is differentiable where ``t > 0``."""
        u = reference()(points).to(points.dtype)
        return torch.where(points[:, :1] == 0, self.start(points[:, 1:]), u)


@cache
def reference(resolution: Resolution = RESOLUTION) -> SpectralSolution:
    """Compute the reference; a second call returns the same."""
    equation = Semilinear(
        linear=lambda k: -DIFFUSION * k**2,
        multiplier=np.ones_like,
        nonlinear=lambda u: 5 * u - 5 * u**3,
        start=lambda x: x**2 * np.cos(pi * x),
    )
    return SpectralSolution(equation, (-1, 1), 1.0, resolution)
