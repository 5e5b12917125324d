"""The fitness of points, usually their residual, and the choice of points by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from perceptrain.errors import CallbackError
from perceptrain_physics.wrapped import pinn_in

#: ``fitness(points, model)`` returns one number per point.
Fitness: TypeAlias = Callable[[Tensor, nn.Module], Tensor]


def residual_size(name: str) -> Fitness:
    """Return a fitness: the absolute residual of one equation of a PINN, summed over columns.

    Args:
        name: The name of the equation.

    Returns:
        A function of points and a model. It raises a CallbackError if the model is not a PINN with
        that equation.
    """

    def fitness(points: Tensor, model: nn.Module) -> Tensor:
        pinn = pinn_in(model)
        if pinn is None or name not in pinn.equations:
            raise CallbackError(
                f"There is no equation {name!r} in {type(model).__name__}; it has "
                f"{', '.join(pinn.equations) if pinn else 'none'}. Name one of its equations, or "
                "pass a function fitness(points, model)."
            )
        residual: Tensor = pinn.equations[name](points, pinn.nn)
        return residual.detach().abs().reshape(len(points), -1).sum(1)

    return fitness


def choose_by_density(fitness: Tensor, n: int, k: float, c: float) -> Tensor:
    """Draw candidates by ``fitness^k / mean(fitness^k) + c``, as RAD (arXiv 2207.10289).

    Args:
        fitness: A number of at least 0 per candidate, of shape ``(M,)`` or ``(M, 1)``. NaN counts
            as 0, infinity as the largest number.
        n: How many to draw, without replacement; at most ``M``.
        k: Exponent of the fitness.
        c: Weight of the uniform part.

    Returns:
        The indices, of shape ``(n,)``, on the device of the fitness.
    """
    values = sizes(fitness)
    powers = (values / values.max().clamp(min=torch.finfo(values.dtype).tiny)) ** k
    uniform = torch.ones_like(powers)
    mean = powers.mean()
    density = powers / mean + c * uniform if mean > 0 else uniform
    if int((density > 0).sum()) < n:  # c = 0, and too few candidates have a residual
        density = density + uniform * torch.finfo(density.dtype).tiny
    # Without replacement, and on the CPU so that a seed gives the same draw on every device.
    return torch.multinomial(density.cpu(), n).to(fitness.device)


def sizes(fitness: Tensor) -> Tensor:
    """Return the absolute fitness of each point, finite, of shape ``(M,)``, in float64."""
    return fitness.detach().reshape(-1).double().nan_to_num(nan=0.0).abs()
