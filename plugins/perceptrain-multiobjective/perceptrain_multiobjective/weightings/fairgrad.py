"""Gains that are fair to all terms."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchjd.aggregation import FairGradWeighting

from perceptrain.errors import ConfigError
from perceptrain_multiobjective.aggregated import Aggregated, Rule


class FairGrad(Aggregated):
    """FairGrad: the direction whose gains for the terms are alpha-fair.

    H. Ban, K. Ji, "Fair Resource Allocation in Multi-Task Learning", ICML 2024, arXiv 2402.15638.
    It solves ``G w = w^(-1 / alpha)`` for the Gramian ``G``: at alpha = 1 what `NashMTL` solves. It
    needs a solver.

    Args:
        alpha: The kind of fairness, above 0: near 0 the sum of the gains counts, at large ones the
            least.
        max_iters: The largest number of steps of the solver; by default its own.
        every: The steps from one change to the next; the first step is one.

    Raises:
        ConfigError: An argument cannot be.
        MissingDependencyError: At the first update, if the solver is not installed.
    """

    def __init__(self, alpha: float = 1.0, *, max_iters: int | None = None, every: int = 1) -> None:
        super().__init__(every)
        if not alpha > 0:
            raise ConfigError(f"alpha={alpha!r}: expected a number above 0.")
        self.alpha = alpha
        self.max_iters = max_iters

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Make the rule of torchjd."""
        return FairGradWeighting(self.alpha, self.max_iters)
