"""A loss as a function of one vector of parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isfinite, nan
from typing import Any

import torch
from torch import Tensor

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
        self._closure, self._params = closure, params
        self._sizes = [parameter.numel() for parameter in params]
        self.point = torch.cat([parameter.detach().reshape(-1) for parameter in params])
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
        return torch.cat(
            [
                torch.zeros_like(p).reshape(-1) if p.grad is None else p.grad.detach().reshape(-1)
                for p in self._params
            ]
        )

    def _write(self, point: Tensor) -> None:
        for parameter, part in zip(self._params, torch.split(point, self._sizes), strict=True):
            parameter.copy_(part.view_as(parameter))
