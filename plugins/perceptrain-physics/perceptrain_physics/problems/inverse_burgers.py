"""An inverse problem: the coefficients of Burgers' equation from noisy observations."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain import PINN
from perceptrain_physics.box import Box
from perceptrain_physics.checks import check_numbers
from perceptrain_physics.models.unknown_coefficients import UnknownCoefficients
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.base import Problem
from perceptrain_physics.problems.burgers import ADVICE, Burgers
from perceptrain_physics.problems.condition import Condition
from perceptrain_physics.wrapped import pinn_in


class InverseBurgers(Problem):
    """``u_t + convection u u_x = viscosity u_xx`` with two unknown coefficients.

    From Raissi, Perdikaris, Karniadakis, J. Comput. Phys. 378, 2019. The solution of `Burgers`,
    where ``convection`` is 1 and ``viscosity`` is ``nu``, is observed at random points of the
    domain, with normally distributed noise. Conditions: "pde", and "data", a batch of points with
    their observations in a third column. It has no hard model.

    The coefficients are positive numbers that are trained as part of the model, see
    `UnknownCoefficients`; at first they are 0.5 and 0.02.

    Args:
        nu: The viscosity to be found, at least 0.003.
        observations: The number of observations.
        noise: Standard deviation of the noise, relative to that of the observed values.
        seed: Seed of the observations.

    Attributes:
        observed: ``t``, ``x`` and the observed value, of shape ``(observations, 3)``, in float64.
        coefficients: The coefficients to be found.

    Raises:
        ConfigError: An option is out of range.
    """

    inputs = "tx"

    def __init__(
        self,
        nu: float = 0.01 / pi,
        observations: int = 2000,
        noise: float = 0.01,
        seed: int = 0,
    ) -> None:
        name = type(self).__name__
        check_numbers(name, nu=nu, at_least=0.003, advice=ADVICE)
        check_numbers(name, observations=observations, whole=True, at_least=2)
        check_numbers(name, noise=noise, at_least=0)
        check_numbers(name, seed=seed, whole=True)
        super().__init__(Box([0, -1], [1, 1]))
        self._burgers = Burgers(nu)
        self.coefficients = {"convection": 1.0, "viscosity": nu}
        self.observed = self._observe(observations, noise, seed)

    def _observe(self, number: int, noise: float, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        points = torch.rand(number, 2, generator=generator, dtype=torch.float64)
        points[:, 1] = 2 * points[:, 1] - 1
        u = self.exact(points)
        errors = torch.randn(u.shape, generator=generator, dtype=torch.float64)
        return torch.cat([points, u + noise * u.std() * errors], dim=1)

    def conditions(self) -> dict[str, Condition]:
        """Return the equation and the observations."""
        return {
            "pde": Condition(self._residual, self.box.inside),
            "data": Condition(_misfit, self._draw),
        }

    def exact(self, points: Tensor) -> Tensor:
        """Return the solution, without noise, of shape ``(N, 1)``."""
        return self._burgers.exact(points)

    def complete(self, network: nn.Module) -> nn.Module:
        """Return the network with the coefficients as further outputs."""
        return UnknownCoefficients(network, {"convection": 0.5, "viscosity": 0.02})

    def solution(self, values: Tensor) -> Tensor:
        """Return the first column."""
        return values[:, :1]

    def errors(self, model: Callable[[Tensor], Tensor], n: int = 100) -> dict[str, float]:
        """Return ``relative_l2``, and the relative errors of the coefficients.

        These are ``convection_error`` and ``viscosity_error``, if the model is one from `pinn`.
        """
        pinn = pinn_in(model)
        found = _coefficients(model if pinn is None else pinn)
        errors = {
            f"{name}_error": abs(found[name] - true) / true
            for name, true in self.coefficients.items()
            if name in found
        }
        return super().errors(model, n) | errors

    def _draw(self, n: int) -> Tensor:
        """Draw ``n`` of the observations, or return all if there are fewer."""
        chosen = torch.randperm(len(self.observed))[:n]
        return self.observed[chosen].to(torch.get_default_dtype())

    def _residual(self, points: Tensor, network: Any) -> Tensor:
        u, u_t, u_x, u_xx = partials(
            lambda x: network(x)[:, :1], points, "", "t", "x", "xx", names=self.inputs
        )
        convection, viscosity = torch.split(network(points)[:, 1:], 1, dim=1)
        return u_t + convection * u * u_x - viscosity * u_xx


def _misfit(points: Tensor, network: Any) -> Tensor:
    residual: Tensor = network(points[:, :2])[:, :1] - points[:, 2:]
    return residual


def _coefficients(model: Any) -> dict[str, float]:
    network = model.nn if isinstance(model, PINN) else model
    return network.values() if isinstance(network, UnknownCoefficients) else {}
