"""The mean gradient, turned towards the term that gains least."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchjd.aggregation import CAGradWeighting

from perceptrain.errors import ConfigError
from perceptrain_multiobjective.aggregated import Aggregated, Rule


class CAGrad(Aggregated):
    """CAGrad: near the mean gradient, the direction along which the worst term gains most.

    B. Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS 2021, arXiv
    2110.14048. The direction is at most ``c`` lengths of the mean gradient away from it. It needs a
    solver. Gradients whose Gramian has a norm below ``norm_eps`` get no weight at all.

    Args:
        c: How far away, from 0 on: 0 is the mean, and large ones come near to `MGDA`.
        norm_eps: Against a division by zero.
        every: The steps from one change to the next; the first step is one.

    Raises:
        ConfigError: An argument cannot be.
        MissingDependencyError: At the first update, if the solver is not installed.
    """

    def __init__(self, c: float = 0.5, *, norm_eps: float = 1e-4, every: int = 1) -> None:
        super().__init__(every)
        if not c >= 0:
            raise ConfigError(f"c={c!r}: expected a number of at least 0.")
        self.c = c
        self.norm_eps = norm_eps

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Make the rule of torchjd."""
        return CAGradWeighting(self.c, self.norm_eps)
