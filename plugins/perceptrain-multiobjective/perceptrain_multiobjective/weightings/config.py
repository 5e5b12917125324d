"""A direction that has the same angle with all gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchjd.aggregation import ConFIG as Aggregator

from perceptrain_multiobjective.aggregated import Aggregated, Rule


class ConFIG(Aggregated):
    """ConFIG: the direction whose angles with all gradients are the same, none of them obtuse.

    Q. Liu, M. Chu, N. Thuerey, "ConFIG: Towards Conflict-free Training of Physics Informed Neural
    Networks", ICLR 2025, arXiv 2408.11104. Its length is the sum of the projections of the
    gradients on it. The rule gives a direction; the weights are those of the gradients that make it
    up. One may be negative.

    Args:
        preference: How much each term counts, by the names of all terms; by default all the same.
        every: The steps from one change to the next; the first step is one.

    Raises:
        ConfigError: An argument cannot be.
    """

    takes_matrix = True

    def __init__(self, preference: Mapping[str, float] | None = None, *, every: int = 1) -> None:
        super().__init__(every, preference)

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Make the rule of torchjd, which gives a combination of the rows."""
        direction = Aggregator(preference)

        def rule(matrix: Tensor) -> Tensor:
            weights: Tensor = torch.linalg.pinv(matrix.T) @ direction(matrix)
            return weights

        return rule
