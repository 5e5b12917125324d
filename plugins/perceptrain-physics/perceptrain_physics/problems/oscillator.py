"""A damped oscillator, the simplest time-dependent problem."""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_physics.box import Box
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.base import Condition, Problem, side_by_side


class Oscillator(Problem):
    """``u'' + 2 damping u' + frequency^2 u = 0`` for ``t`` from 0 to ``end``.

    Initially ``u = 1`` and ``u' = 0``. Conditions: "ode" and "initial", the sum of both.

    Args:
        damping: At least 0, and less than the frequency.
        frequency: Angular frequency of the undamped oscillator.
        end: The last time.
        hard: Whether the model satisfies the initial conditions by construction.

    Raises:
        ConfigError: The oscillator is not underdamped.
    """

    inputs = "t"

    def __init__(
        self,
        damping: float = 0.5,
        frequency: float = 3.0,
        end: float = 2.0,
        *,
        hard: bool = False,
    ) -> None:
        if not 0 <= damping < frequency:
            raise ConfigError(
                f"damping={damping!r}, frequency={frequency!r}: expected a damping of at least 0 "
                "and less than the frequency."
            )
        super().__init__(Box([0], [end]), hard)
        self.damping, self.frequency = damping, frequency

    def conditions(self) -> dict[str, Condition]:
        """Return the equation and the initial conditions."""
        return {
            "ode": Condition(self._residual, self.box.inside),
            "initial": Condition(self._initial, self.box.face(0, 0.0), terms=2),
        }

    def distance(self, points: Tensor) -> Tensor:
        """Return the distance of the hard model."""
        return points**2

    def value(self, points: Tensor) -> Tensor:
        """Return the given values of the hard model."""
        return torch.ones_like(points)

    def exact(self, points: Tensor) -> Tensor:
        """Return the solution, of shape ``(N, 1)``."""
        w = sqrt(self.frequency**2 - self.damping**2)
        swing = (w * points).cos() + self.damping / w * (w * points).sin()
        return (-self.damping * points).exp() * swing

    def _residual(self, points: Tensor, network: Any) -> Tensor:
        u, u_t, u_tt = partials(network, points, "", "t", "tt", names=self.inputs)
        return u_tt + 2 * self.damping * u_t + self.frequency**2 * u

    def _initial(self, points: Tensor, network: Any) -> Tensor:
        u, u_t = partials(network, points, "", "t", names=self.inputs)
        return side_by_side(u - 1, u_t)
