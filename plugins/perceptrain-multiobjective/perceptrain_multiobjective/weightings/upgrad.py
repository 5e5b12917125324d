"""A mean of projections that conflicts with no gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torchjd.aggregation import UPGradWeighting

from perceptrain_multiobjective.aggregated import Aggregated, Rule


class UPGrad(Aggregated):
    """UPGrad: project each gradient so that it conflicts with none, and average.

    P. Quinton, V. Rey, "Jacobian Descent for Multi-Objective Optimization", arXiv 2406.16232. Each
    gradient is projected onto the cone of the directions along which no term grows. A small step
    along the mean lowers all terms, or leaves them. It needs a solver.

    Args:
        preference: How much each term counts, by the names of all terms; by default all the same.
        every: The steps from one change to the next; the first step is one.

    Raises:
        ConfigError: An argument cannot be.
        MissingDependencyError: At the first update, if the solver is not installed.
    """

    def __init__(self, preference: Mapping[str, float] | None = None, *, every: int = 1) -> None:
        super().__init__(every, preference)

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Make the rule of torchjd."""
        return UPGradWeighting(preference)
