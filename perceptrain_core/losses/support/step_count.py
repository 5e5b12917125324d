"""Which calls of a weighted loss are steps, and which of these update the weights."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class StepCount:
    """Counts optimizer steps.

    Attributes:
        steps: Steps that were counted.
        stepwise: Whether ``begin_step()`` is called before each step.
        open: Whether the current step is still to be counted.
    """

    steps: int = 0
    stepwise: bool = False
    open: bool = True

    def begin_step(self) -> None:
        """Start an optimizer step."""
        self.stepwise = self.open = True

    def is_due(self, every: int) -> bool:
        """Whether the next call updates the weights."""
        return (self.open or not self.stepwise) and self.steps % every == 0

    def count(self) -> None:
        """Count a step, if it is not counted yet."""
        if self.open or not self.stepwise:
            self.open = False
            self.steps += 1
