"""ConFIG: the direction at the same angle to all gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchjd.aggregation import ConFIG as Aggregator

from perceptrain_multiobjective.aggregated import Aggregated, Rule


class ConFIG(Aggregated):
    """ConFIG: the direction at the same, not obtuse, angle to all gradients.

    Q. Liu, M. Chu, N. Thuerey, "ConFIG: Towards Conflict-free Training of Physics Informed Neural
    Networks", ICLR 2025, arXiv 2408.11104. The length of the direction is the sum of the
    projections of the gradients onto it. The weights are the coefficients of the gradients that
    combine to this direction. Weights may be negative.

    Args:
        preference: Importance of each term, by name, for all terms. By default all are equal.
        every: Update the weights every this many steps, starting with the first.

    Raises:
        ConfigError: An argument is out of range.
    """

    takes_matrix = True

    def __init__(self, preference: Mapping[str, float] | None = None, *, every: int = 1) -> None:
        super().__init__(every, preference)

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Return a rule that expresses the direction of torchjd as a combination of the rows."""
        direction = Aggregator(preference)

        def rule(matrix: Tensor) -> Tensor:
            weights: Tensor = torch.linalg.pinv(matrix.T) @ direction(matrix)
            return weights

        return rule
