"""The base class of problems that are periodic in space."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from perceptrain_physics.box import Box
from perceptrain_physics.checks import check_numbers
from perceptrain_physics.named_derivatives import partials
from perceptrain_physics.problems.base import Problem, side_by_side
from perceptrain_physics.problems.condition import Condition


class PeriodicProblem(Problem):
    """A problem in ``t`` and ``x``, with an initial value, periodic in ``x``.

    Conditions: "pde", "initial", and "boundary", the sum over the differences between both ends: of
    the value and of all derivatives below the order of the equation.

    Args:
        box: The domain; in ``x`` it is one period.
        order: The order of the equation in ``x``.
        hard: Whether the model has the initial value and the period by construction.

    Raises:
        ConfigError: The box does not have two coordinates, or ``order`` is not above 0.
    """

    inputs = "tx"

    def __init__(self, box: Box, order: int, hard: bool = False) -> None:
        super().__init__(box, hard)
        check_numbers(type(self).__name__, order=order, whole=True, at_least=1)
        self.order = order
        self.periods = (None, box.high[1] - box.low[1])

    @abstractmethod
    def start(self, x: Tensor) -> Tensor:
        """Return the initial value at each ``x``, in the same shape."""

    @abstractmethod
    def residual(self, points: Tensor, network: Any) -> Tensor:
        """Return the residual of the equation, of shape ``(N, 1)``."""

    def conditions(self) -> dict[str, Condition]:
        """Return the equation, the initial condition and the boundary condition."""
        return {
            "pde": Condition(self.residual, self.box.inside),
            "initial": Condition(self._initial, self.box.face(0, self.box.low[0])),
            "boundary": Condition(
                self._difference, self.box.face(1, self.box.low[1]), terms=self.order
            ),
        }

    def distance(self, points: Tensor) -> Tensor:
        """Return the distance of the hard model, the time since the start."""
        return points[..., :1] - self.box.low[0]

    def value(self, points: Tensor) -> Tensor:
        """Return the given values of the hard model, those at the start."""
        return self.start(points[..., 1:])

    def _initial(self, points: Tensor, network: Any) -> Tensor:
        residual: Tensor = network(points) - self.start(points[:, 1:])
        return residual

    def _difference(self, points: Tensor, network: Any) -> Tensor:
        """Return the differences between points of the left end and those opposite."""
        period = self.box.high[1] - self.box.low[1]
        opposite = points + torch.tensor([0.0, period]).to(points)
        orders = ["x" * order for order in range(self.order)]
        ends = (partials(network, x, *orders, names=self.inputs) for x in (points, opposite))
        return side_by_side(*(left - right for left, right in zip(*ends, strict=True)))
