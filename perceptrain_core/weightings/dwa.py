"""Weights from how much the average of each term has gone down."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_core.weightings.base import Gradients, Terms, Weighting, number_faults, ratios


class DWA(Weighting):
    """Dynamic weight average: more weight to terms whose average goes down slowly.

    S. Liu, E. Johns, A. Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019,
    arXiv 1803.10704. For K terms, whose averages over the last two windows of steps are ``A_i``
    and ``B_i`` before it::

        w_i = K softmax_i((A_i / B_i) / temperature)

    and 1 in the first two windows. The windows of the paper are epochs. The sum of the weights is
    K, so no weight exceeds K. It needs no gradients.

    Args:
        window: The steps of a window: those of an epoch, to have the paper's.
        temperature: At large ones all weights are equal.

    Raises:
        ConfigError: An argument cannot be.
    """

    def __init__(self, window: int = 100, *, temperature: float = 2.0) -> None:
        faults = number_faults({"temperature": temperature}, 1e-6)
        if not isinstance(window, int) or isinstance(window, bool) or window < 1:
            faults.append(f"window={window!r}: expected a whole number of 1 or more")
        super().__init__(faults=faults)
        self.window = window
        self.temperature = temperature

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Give the weights as they are, or at the end of a window new ones."""
        names, now = tuple(terms), torch.stack([*terms.values()])
        zeros, usable = torch.zeros_like(now), now.isfinite()
        self.remember(
            "sum", names, self.recall("sum", names, zeros) + torch.where(usable, now, zeros)
        )
        self.remember("count", names, self.recall("count", names, zeros) + usable)
        steps = self.memory["steps"] = self.memory.get("steps", 0) + 1
        return self._of_window() if steps % self.window == 0 else dict(self.weights)

    def _of_window(self) -> dict[str, Tensor]:
        sums, counts = self.memory.pop("sum"), self.memory.pop("count")
        means = torch.stack([*sums.values()]) / torch.stack([*counts.values()])
        before = self.recall("mean", (*sums,), means)
        means = torch.where(means.isfinite(), means, before)
        self.remember("mean", (*sums,), means)
        new = torch.softmax(ratios(means, before) / self.temperature, dim=0)
        return self.replace((*sums,), len(sums) * new)
