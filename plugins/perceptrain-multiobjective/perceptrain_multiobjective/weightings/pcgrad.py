"""Gradients without what conflicts with the others."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchjd.aggregation import PCGradWeighting

from perceptrain_multiobjective.aggregated import Aggregated, Rule


class PCGrad(Aggregated):
    """PCGrad: take from each gradient what points against another one.

    T. Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, arXiv 2001.06782. Each
    gradient is projected onto the normal plane of every other one that it conflicts with, in random
    order from torch's generator, and the results are added. Without conflicts all weights are 1.

    Args:
        every: The steps from one change to the next; the first step is one.

    Raises:
        ConfigError: An argument cannot be.
    """

    def __init__(self, every: int = 1) -> None:
        super().__init__(every)

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Make the rule of torchjd."""
        return PCGradWeighting()
