"""A loss as a function of one vector of parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isfinite, nan
from typing import Any

from torch import Tensor

from perceptrain_core.least_squares.columns import Columns
from perceptrain_core.optimizers.line_search import Trial


class Objective:
    """A loss as a function of one vector, which is written to the parameters.

    Args:
        closure: Clears the gradients, computes the loss and its gradients, and returns the loss.
        params: The parameters, of one dtype and on one device.

    Attributes:
        point: The accepted point, a vector of shape ``(P,)``.
        gradient: The gradient there.
        loss: The loss there.
        evaluations: How often the closure was called.
    """

    def __init__(self, closure: Callable[[], Any], params: Sequence[Tensor]) -> None:
        self._closure, self._columns = closure, Columns(params)
        self.point = self._columns.flat(params).detach()
        self.evaluations = 0

    def start(self) -> Any:
        """Evaluate the loss at the first point, and return what the closure returned."""
        result = self._evaluate()
        self.loss, self.gradient = float(result), self._gradient()
        return result

    @property
    def is_finite(self) -> bool:
        """Whether the loss and its gradient are finite at the accepted point."""
        return isfinite(self.loss) and bool(self.gradient.isfinite().all())

    def trial(self, direction: Tensor, step: float) -> Trial:
        """Evaluate the loss after a step in a direction; a step too long for it costs infinity."""
        self._write(self.point + step * direction)
        loss = float(self._evaluate())
        if not isfinite(loss):
            return Trial(step, inf, nan, self.gradient)
        gradient = self._gradient()
        slope = float(gradient @ direction)
        return Trial(step, loss if isfinite(slope) else inf, slope, gradient)

    def accept(self, direction: Tensor, trial: Trial) -> None:
        """Move to the point of a trial."""
        self.point = self.point + trial.step * direction
        self.loss, self.gradient = trial.loss, trial.gradient
        self.restore()

    def restore(self) -> None:
        """Write the accepted point to the parameters."""
        self._write(self.point)

    def _evaluate(self) -> Any:
        self.evaluations += 1
        return self._closure()

    def _gradient(self) -> Tensor:
        return self._columns.flat([p.grad for p in self._columns.parameters]).detach()

    def _write(self, point: Tensor) -> None:
        parts = self._columns.split(point)
        for parameter, part in zip(self._columns.parameters, parts, strict=True):
            parameter.copy_(part)
