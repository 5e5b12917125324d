"""PCGrad: gradients without their conflicting components."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchjd.aggregation import PCGradWeighting

from perceptrain_multiobjective.aggregated import Aggregated, Rule


class PCGrad(Aggregated):
    """PCGrad: remove from each gradient the components that conflict with other gradients.

    T. Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, arXiv 2001.06782. Each
    gradient is projected onto the normal plane of every gradient that it conflicts with, in random
    order from torch's generator, and the results are summed. Without conflicts all weights are 1.

    Args:
        every: Update the weights every this many steps, starting with the first.

    Raises:
        ConfigError: An argument is out of range.
    """

    def __init__(self, every: int = 1) -> None:
        super().__init__(every)

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Return the torchjd weighting."""
        return PCGradWeighting()
