"""The steady incompressible Navier-Stokes equations in two dimensions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from perceptrain_physics.derivatives import grad
from perceptrain_physics.problems.base import side_by_side


def navier_stokes(points: Tensor, network: Any, re: float) -> Tensor:
    """Return the residuals of both momentum equations and of continuity, of shape ``(N, 3)``.

    Args:
        points: ``x`` and ``y``, of shape ``(N, 2)``, with ``requires_grad``.
        network: Returns velocity ``u``, ``v`` and pressure ``p``, of shape ``(N, 3)``.
        re: The Reynolds number.
    """
    u, v, p = torch.split(network(points), 1, dim=1)
    (u_x, u_y), (v_x, v_y), (p_x, p_y) = (_gradient(field, points) for field in (u, v, p))
    u_xx, v_xx = (_gradient(slope, points)[0] for slope in (u_x, v_x))
    u_yy, v_yy = (_gradient(slope, points)[1] for slope in (u_y, v_y))
    return side_by_side(
        u * u_x + v * u_y + p_x - (u_xx + u_yy) / re,
        u * v_x + v * v_y + p_y - (v_xx + v_yy) / re,
        u_x + v_y,
    )


def _gradient(field: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    x, y = torch.split(grad(field, points), 1, dim=1)
    return x, y
