"""IMTL-G: equal projections onto all gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from perceptrain_multiobjective.aggregated import Aggregated, Rule


class IMTLG(Aggregated):
    """IMTL-G: the combination with equal projections onto all gradients.

    L. Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021, the gradient balance part.
    The weights sum to 1 and may be negative.

    Args:
        every: Update the weights every this many steps, starting with the first.

    Raises:
        ConfigError: An argument is out of range.
    """

    def __init__(self, every: int = 1) -> None:
        super().__init__(every)

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Return the rule of torchjd, without reading values."""
        return _equal_projections


def _equal_projections(gramian: Tensor) -> Tensor:
    weights = torch.linalg.pinv(gramian) @ gramian.diagonal().sqrt()
    total = weights.sum()
    return torch.where(total.abs() < 1e-12, 0.0, weights / total)
