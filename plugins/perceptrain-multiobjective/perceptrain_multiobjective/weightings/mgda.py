"""MGDA: the minimum-norm convex combination of the gradients."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchjd.aggregation import MGDAWeighting

from perceptrain_multiobjective.aggregated import Aggregated, Rule


class MGDA(Aggregated):
    """MGDA: the convex combination of the gradients with minimum norm.

    J.-A. Désidéri, "Multiple-gradient descent algorithm (MGDA) for multiobjective optimization",
    Comptes Rendus Mathematique 350, 2012; computed with the Frank-Wolfe algorithm of Sener and
    Koltun, arXiv 1810.04650. The weights sum to 1. Terms with short gradients, for example nearly
    satisfied ones, get the largest weights.

    Args:
        epsilon: Stop when a step is smaller than this.
        max_iters: Maximum number of steps.
        every: Update the weights every this many steps, starting with the first.

    Raises:
        ConfigError: An argument is out of range.
    """

    def __init__(self, epsilon: float = 1e-3, max_iters: int = 100, *, every: int = 1) -> None:
        super().__init__(every)
        self.epsilon = epsilon
        self.max_iters = max_iters

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Return the torchjd weighting."""
        return MGDAWeighting(self.epsilon, self.max_iters)
