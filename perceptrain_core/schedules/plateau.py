"""Plateau detection: how many values have passed since a metric last improved."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isinf
from typing import Any, Literal

#: The value that any other improves on, by mode.
WORST = {"min": inf, "max": -inf}


class Plateau:
    """Compare the values of a metric with the best one so far.

    Args:
        mode: ``"min"`` if lower is better, ``"max"`` if higher is.
        margin: A value must be better than the best by more than this.
        relative: Whether the margin is a fraction of the best value.

    Attributes:
        best: The best value so far; infinite before the first.
        since: The number of values since the best one.
    """

    def __init__(self, mode: Literal["min", "max"], margin: float, relative: bool = False) -> None:
        self.mode = mode
        self.margin = margin
        self.relative = relative
        self.reset()

    def reset(self) -> None:
        """Forget all values."""
        self.best: float = WORST[self.mode]
        self.since = 0

    def is_improved_by(self, value: float) -> bool:
        """Record a value, and return whether it is the best so far. NaN never is."""
        scale = abs(self.best) if self.relative else 1.0
        margin = 0.0 if isinf(self.best) else self.margin * scale  # the first value always improves
        better = value < self.best - margin if self.mode == "min" else value > self.best + margin
        if better:
            self.best, self.since = value, 0
        else:
            self.since += 1
        return better

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and the number of values since."""
        return {"best": self.best, "since": self.since}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.best, self.since = state["best"], state["since"]
