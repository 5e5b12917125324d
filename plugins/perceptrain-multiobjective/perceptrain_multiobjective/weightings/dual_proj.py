"""The mean gradient, projected so that it conflicts with none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torchjd.aggregation import DualProjWeighting

from perceptrain_multiobjective.aggregated import Aggregated, Rule


class DualProj(Aggregated):
    """DualProj: project the mean of the gradients so that it conflicts with none of them.

    D. Lopez-Paz, M. Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017, arXiv
    1706.08840, whose rule it is. `UPGrad` projects first and averages then. It needs a solver.

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
        return DualProjWeighting(preference)
