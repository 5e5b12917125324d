"""Weights from the averages of the terms over windows of steps."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_core.option_checks import number_faults
from perceptrain_core.weightings.base import Gradients, Terms, Weighting, progress


class DWA(Weighting):
    """Dynamic weight average: increase the weight of terms whose average decreases slowly.

    S. Liu, E. Johns, A. Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019,
    arXiv 1803.10704. For K terms, with averages ``A_i`` over the last window of steps and ``B_i``
    over the one before::

        w_i = K softmax_i((A_i / B_i) / temperature)

    The weights are 1 in the first two windows. The paper's windows are epochs. The weights add up
    to K, so no weight exceeds K. Needs no gradients.

    Args:
        window: Steps in a window; use the steps of an epoch for the paper's windows.
        temperature: The larger it is, the closer the weights are to each other.

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(self, window: int = 100, *, temperature: float = 2.0) -> None:
        faults = number_faults({"temperature": temperature}, at_least=1e-6)
        faults += number_faults({"window": window}, whole=True, at_least=1)
        super().__init__(faults=faults)
        self.window = window
        self.temperature = temperature

    #: The number of steps, on which only `next_update` depends.
    uncaptured = (*Weighting.uncaptured, "memory['steps']")

    def next_update(self) -> bool:
        """Say whether the next update ends a window."""
        return (self._steps + 1) % self.window == 0

    def count_update(self) -> None:
        """Count an update that a captured step has made in place of `update`."""
        super().count_update()
        self.memory["steps"] = self._steps + 1

    @property
    def _steps(self) -> int:
        steps: int = self.memory.get("steps", 0)
        return steps

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Add the terms to the averages; at the end of a window, compute new weights."""
        names, now = tuple(terms), torch.stack([*terms.values()])
        zeros, usable = torch.zeros_like(now), now.isfinite()
        for key, value in {"sum": torch.where(usable, now, zeros), "count": usable}.items():
            self.remember(key, names, self.recall(key, names, zeros) + value)
        ends = self.next_update()
        self.memory["steps"] = self._steps + 1
        return self._end_window() if ends else dict(self.weights)

    def _end_window(self) -> dict[str, Tensor]:
        sums, counts = self.memory["sum"], self.memory["count"]
        names = tuple(sums)
        means = torch.stack([*sums.values()]) / torch.stack([*counts.values()])
        for key in ("sum", "count"):
            self.remember(key, names, torch.zeros_like(means))
        before = self.recall("mean", names, means)
        means = torch.where(means.isfinite(), means, before)
        self.remember("mean", names, means)
        shares = torch.softmax(progress(means, before) / self.temperature, dim=0)
        return self.replace(names, len(names) * shares)
