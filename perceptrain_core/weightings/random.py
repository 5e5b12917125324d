"""Random weights."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_core.weightings.base import Gradients, Terms, Weighting


class RandomWeighting(Weighting):
    """Random loss weighting: the softmax of normal random numbers, drawn at each update.

    B. Lin, F. Ye, Y. Zhang, I. Tsang, "Reasonable Effectiveness of Random Weighting: A Litmus Test
    for Multi-Task Learning", arXiv 2111.10603, with its standard normal distribution: a baseline
    for the other schemes. The weights add up to 1, so the loss is an average of the terms, not a
    sum. The numbers are drawn from torch's global generator, which ``seed`` sets and checkpoints
    save. Needs no gradients.

    Args:
        every: Optimizer steps between updates. The first step updates.

    Raises:
        ConfigError: ``every`` is not a whole number above 0.
    """

    draws = True

    def __init__(self, every: int = 1) -> None:
        super().__init__(every)

    def target(self, terms: Terms, grads: Gradients) -> Tensor:
        """Return the softmax of new random numbers."""
        like = next(iter(terms.values()))
        return torch.softmax(torch.randn(len(terms), dtype=like.dtype, device=like.device), dim=0)
