"""Weights from the changes of the terms."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_core.option_checks import number_faults
from perceptrain_core.weightings.base import Gradients, Terms, Weighting


class SoftAdapt(Weighting):
    """Increase the weight of terms that decrease slowly, or increase.

    A. Heydari, C. Thompson, A. Mehmood, "SoftAdapt: Techniques for Adaptive Loss Weighting of
    Neural Networks with Multi-Part Loss Functions", arXiv 1912.12355. With the change
    ``s_i = L_i(t) - L_i(t - 1)`` since the last update::

        w_i = exp(beta s_i) / sum_j exp(beta s_j)
        s_i <- s_i / sum_j |s_j|               beforehand, with normalized=True
        w_i = L_i exp(beta s_i) / sum_j ...    with loss_weighted=True

    The weights add up to 1, so the loss is an average of the terms, not a sum; at the first update
    they are all equal. Needs no gradients. The changes are differences, so a large term dominates
    unless they are normalized; `ReLoBRaLo` and `DWA` use ratios. Of the finite differences in the
    paper, this is the first-order one; a larger ``every`` looks further back.

    Args:
        beta: Above 0, slow terms get more weight; below 0, fast ones do.
        normalized: Divide the changes by the sum of their absolute values.
        loss_weighted: Multiply the weights by the terms, which must be positive.
        every: Optimizer steps between updates. The first step updates.

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(
        self,
        beta: float = 0.1,
        *,
        normalized: bool = False,
        loss_weighted: bool = False,
        every: int = 1,
    ) -> None:
        super().__init__(every, faults=number_faults({"beta": beta}))
        self.beta = beta
        self.normalized = normalized
        self.loss_weighted = loss_weighted

    def target(self, terms: Terms, grads: Gradients) -> Tensor:
        """Return the softmax of the changes."""
        names, now = tuple(terms), torch.stack([*terms.values()])
        last = self.recall("last", names, now)
        change = torch.where(last.isfinite(), now - last, 0)
        self.remember("last", names, torch.where(now.isfinite(), now, last))
        if self.normalized:
            change = change / change.abs().sum().clamp(min=torch.finfo(now.dtype).tiny)
        new = torch.softmax(self.beta * change, dim=0)
        if self.loss_weighted:
            sizes = new * now
            new = torch.where(sizes.sum() > 0, sizes / sizes.sum(), new)
        return new
