"""A damped oscillator, the simplest time-dependent problem."""

from __future__ import annotations

from math import sqrt
from typing import Any

from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_physics.checks import check_numbers
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.initial_value_problem import InitialValueProblem
from perceptrain_physics.problems.points import at_points


class Oscillator(InitialValueProblem):
    """``u'' + 2 damping u' + frequency^2 u = 0`` for ``t`` from 0 to ``end``.

    Initially ``u = 1`` and ``u' = 0``. Conditions: "ode" and "initial", the sum of both.

    Args:
        damping: At least 0, and less than the frequency.
        frequency: Angular frequency of the undamped oscillator.
        end: The last time.
        hard: Whether the model satisfies the initial conditions by construction.

    Raises:
        ConfigError: The oscillator is not underdamped, or ``end`` is not above 0.
    """

    def __init__(
        self,
        damping: float = 0.5,
        frequency: float = 3.0,
        end: float = 2.0,
        *,
        hard: bool = False,
    ) -> None:
        check_numbers(type(self).__name__, damping=damping, at_least=0)
        check_numbers(type(self).__name__, frequency=frequency, end=end, above=0)
        if not damping < frequency:
            raise ConfigError(
                f"Oscillator: damping={damping!r}, frequency={frequency!r}: expected a damping "
                "less than the frequency, so that it swings."
            )
        super().__init__(1.0, end, hard)
        self.damping, self.frequency = damping, frequency

    @at_points
    def exact(self, points: Tensor) -> Tensor:
        """Return the solution, of shape ``(N, 1)``."""
        w = sqrt(self.frequency**2 - self.damping**2)
        swing = (w * points).cos() + self.damping / w * (w * points).sin()
        return (-self.damping * points).exp() * swing

    def residual(self, points: Tensor, network: Any) -> Tensor:
        """Return the residual of the equation."""
        u, u_t, u_tt = partials(network, points, "", "t", "tt", names=self.inputs)
        return u_tt + 2 * self.damping * u_t + self.frequency**2 * u
