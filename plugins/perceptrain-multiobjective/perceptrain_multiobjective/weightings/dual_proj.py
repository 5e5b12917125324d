"""DualProj: the mean gradient, projected to avoid conflicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torchjd.aggregation import DualProjWeighting

from perceptrain_multiobjective.aggregated import Aggregated, Rule


class DualProj(Aggregated):
    """DualProj: project the mean gradient so that it does not conflict with any gradient.

    This is the projection of D. Lopez-Paz, M. Ranzato, "Gradient Episodic Memory for Continual
    Learning", NeurIPS 2017, arXiv 1706.08840. `UPGrad` projects first and then averages. Requires a
    solver.

    Args:
        preference: Importance of each term, by name, for all terms. By default all are equal.
        every: Update the weights every this many steps, starting with the first.

    Raises:
        ConfigError: An argument is out of range.
        MissingDependencyError: The solver is not installed (raised at the first update).
    """

    def __init__(self, preference: Mapping[str, float] | None = None, *, every: int = 1) -> None:
        super().__init__(every, preference)

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Return the torchjd weighting."""
        return DualProjWeighting(preference)
