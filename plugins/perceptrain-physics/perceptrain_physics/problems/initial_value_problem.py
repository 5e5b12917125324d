"""Equations of second order in time for one function, from a given value at rest."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.base import Problem, side_by_side
from perceptrain_physics.problems.condition import Condition


class InitialValueProblem(Problem):
    """An equation for ``u`` on ``t`` from 0 to ``end``, with ``u = start`` and ``u' = 0`` at first.

    Conditions: "ode" and "initial", the sum of both.

    Args:
        start: The initial value.
        end: The last time.
        hard: Whether the model satisfies the initial conditions by construction.
    """

    inputs = "t"

    def __init__(self, start: float, end: float, hard: bool) -> None:
        super().__init__(Box([0], [end]), hard)
        self.start = start

    @abstractmethod
    def residual(self, points: Tensor, network: Any) -> Tensor:
        """Return the residual of the equation."""

    def conditions(self) -> dict[str, Condition]:
        """Return the equation and the initial conditions."""
        return {
            "ode": Condition(self.residual, self.box.inside),
            "initial": Condition(self._initial, self.box.face(0, 0.0), terms=2),
        }

    def distance(self, points: Tensor) -> Tensor:
        """Return the distance of the hard model."""
        return points**2

    def value(self, points: Tensor) -> Tensor:
        """Return the given values of the hard model."""
        return torch.full_like(points, self.start)

    def _initial(self, points: Tensor, network: Any) -> Tensor:
        u, u_t = partials(network, points, "", "t", names=self.inputs)
        return side_by_side(u - self.start, u_t)
