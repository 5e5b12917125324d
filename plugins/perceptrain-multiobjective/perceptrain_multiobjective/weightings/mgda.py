"""The shortest convex combination of the gradients."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchjd.aggregation import MGDAWeighting

from perceptrain_multiobjective.aggregated import Aggregated, Rule


class MGDA(Aggregated):
    """MGDA: the convex combination of the gradients that has the least norm.

    J.-A. Désidéri, "Multiple-gradient descent algorithm (MGDA) for multiobjective optimization",
    Comptes Rendus Mathematique 350, 2012; by the Frank-Wolfe algorithm of Sener and Koltun, arXiv
    1810.04650. The weights add up to 1, and a term with a short gradient gets most of it: such as
    one that is nearly satisfied.

    Args:
        epsilon: The algorithm ends when a step is smaller than this.
        max_iters: Its largest number of steps.
        every: The steps from one change to the next; the first step is one.

    Raises:
        ConfigError: An argument cannot be.
    """

    def __init__(self, epsilon: float = 1e-3, max_iters: int = 100, *, every: int = 1) -> None:
        super().__init__(every)
        self.epsilon = epsilon
        self.max_iters = max_iters

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Make the rule of torchjd."""
        return MGDAWeighting(self.epsilon, self.max_iters)
