"""PCGrad: gradients without their conflicting components."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

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

    draws = True

    def __init__(self, every: int = 1) -> None:
        super().__init__(every)

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Return the rule, which projects all gradients at once and reads no values."""
        return _project


def _project(gramian: Tensor) -> Tensor:
    count = len(gramian)
    lengths = gramian.diagonal()
    rows = torch.arange(count, device=gramian.device)
    orders = torch.stack([torch.randperm(count) for _ in range(count)], dim=1).to(gramian.device)
    # Row i holds the coefficients of the projected gradient i.
    weights = torch.eye(count, dtype=gramian.dtype, device=gramian.device)
    for others in orders.unbind():
        products = torch.linalg.vecdot(gramian.index_select(0, others), weights)
        conflicts = (products < 0) & (others != rows)
        steps = torch.where(conflicts, products / lengths.index_select(0, others), 0.0)
        # In place: with many terms, new memory takes longer than the sum.
        weights.scatter_add_(1, others.unsqueeze(1), -steps.unsqueeze(1))
    return weights.sum(0)
