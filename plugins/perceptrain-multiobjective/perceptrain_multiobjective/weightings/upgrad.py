"""UPGrad: the mean of projected gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torchjd.aggregation import UPGradWeighting

from perceptrain_multiobjective.aggregated import Aggregated, Rule


class UPGrad(Aggregated):
    """UPGrad: project each gradient so that it does not conflict with any other, and average.

    P. Quinton, V. Rey, "Jacobian Descent for Multi-Objective Optimization", arXiv 2406.16232. Each
    gradient is projected onto the cone of directions along which no term increases. A small step
    along the mean does not increase any term. Requires a solver.

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
        return UPGradWeighting(preference)
