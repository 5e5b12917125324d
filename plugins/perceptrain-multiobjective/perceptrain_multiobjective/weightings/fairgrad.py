"""FairGrad: alpha-fair improvement of all terms."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchjd.aggregation import FairGradWeighting

from perceptrain.errors import ConfigError
from perceptrain_multiobjective.aggregated import Aggregated, Rule


class FairGrad(Aggregated):
    """FairGrad: the direction that improves the terms alpha-fairly.

    H. Ban, K. Ji, "Fair Resource Allocation in Multi-Task Learning", ICML 2024, arXiv 2402.15638.
    Solves ``G w = w^(-1 / alpha)`` for the Gramian ``G``; with alpha = 1 this is the equation of
    `NashMTL`. Requires a solver.

    Args:
        alpha: The kind of fairness, above 0. Values near 0 maximize the sum of the improvements,
            large values the smallest improvement.
        max_iters: Maximum number of solver iterations; by default the solver's own.
        every: Update the weights every this many steps, starting with the first.

    Raises:
        ConfigError: An argument is out of range.
        MissingDependencyError: The solver is not installed (raised at the first update).
    """

    def __init__(self, alpha: float = 1.0, *, max_iters: int | None = None, every: int = 1) -> None:
        super().__init__(every)
        if not alpha > 0:
            raise ConfigError(f"alpha={alpha!r}: expected a number above 0.")
        self.alpha = alpha
        self.max_iters = max_iters

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Return the torchjd weighting."""
        return FairGradWeighting(self.alpha, self.max_iters)
