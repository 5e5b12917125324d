"""Weights that are drawn anew again and again."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_core.weightings.base import Gradients, Terms, Weighting


class RandomWeighting(Weighting):
    """Random loss weighting: the softmax of normal numbers, drawn at each update.

    B. Lin, F. Ye, Y. Zhang, I. Tsang, "Reasonable Effectiveness of Random Weighting: A Litmus Test
    for Multi-Task Learning", arXiv 2111.10603, with its standard normal distribution. What a
    scheme that looks at the terms must beat. The sum of the weights is 1, so the loss is an
    average of the terms, not a sum. The numbers come from torch's generator, which ``seed`` sets
    and checkpoints hold. It needs no gradients.

    Args:
        every: The steps from one draw to the next; the first step is one.

    Raises:
        ConfigError: ``every`` is no whole number above 0.
    """

    def __init__(self, every: int = 1) -> None:
        super().__init__(every)

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Draw."""
        like = next(iter(terms.values()))
        drawn = torch.randn(len(terms), dtype=like.dtype, device=like.device)
        return self.replace((*terms,), torch.softmax(drawn, dim=0))
