"""CAGrad: the mean gradient, turned towards the term that improves least."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchjd.aggregation import CAGradWeighting

from perceptrain.errors import ConfigError
from perceptrain_multiobjective.aggregated import Aggregated, Rule


class CAGrad(Aggregated):
    """CAGrad: the direction near the mean gradient that improves the worst term most.

    B. Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS 2021, arXiv
    2110.14048. The distance of the direction from the mean gradient is at most ``c`` times the
    length of the mean gradient. Requires a solver. All weights are 0 if the norm of the Gramian is
    below ``norm_eps``.

    Args:
        c: Relative distance from the mean gradient, at least 0. 0 is the mean itself; large values
            approach `MGDA`.
        norm_eps: Threshold that avoids a division by zero.
        every: Update the weights every this many steps, starting with the first.

    Raises:
        ConfigError: An argument is out of range.
        MissingDependencyError: The solver is not installed (raised at the first update).
    """

    def __init__(self, c: float = 0.5, *, norm_eps: float = 1e-4, every: int = 1) -> None:
        super().__init__(every)
        if not c >= 0:
            raise ConfigError(f"c={c!r}: expected a number of at least 0.")
        self.c = c
        self.norm_eps = norm_eps

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Return the torchjd weighting."""
        return CAGradWeighting(self.c, self.norm_eps)
