"""Weights from the rates at which the terms change."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_core.weightings.base import Gradients, Terms, Weighting, number_faults


class SoftAdapt(Weighting):
    """Give more weight to terms that go down slowly, or up.

    A. Heydari, C. Thompson, A. Mehmood, "SoftAdapt: Techniques for Adaptive Loss Weighting of
    Neural Networks with Multi-Part Loss Functions", arXiv 1912.12355. With the change
    ``s_i = L_i(t) - L_i(t - 1)`` since the last update::

        w_i = exp(beta s_i) / sum_j exp(beta s_j)
        s_i <- s_i / sum_j |s_j|               beforehand, with normalized=True
        w_i = L_i exp(beta s_i) / sum_j ...    with loss_weighted=True

    The sum of the weights is 1, so the loss is an average of the terms, not a sum; at the first
    update all are equal. It needs no gradients. The change is a difference, so a large term
    dominates unless it is normalized; `ReLoBRaLo` and `DWA` take ratios. Of the differences that
    the authors offer this is the first-order one, of single steps; a larger ``every`` looks
    further back.

    Args:
        beta: Above 0 as described; below 0 the terms that go down fast get more.
        normalized: The variant with changes relative to all of them.
        loss_weighted: The variant with weights that grow with the terms, which are positive.
        every: The steps from one change to the next; the first step is one.

    Raises:
        ConfigError: An argument cannot be.
    """

    def __init__(
        self,
        beta: float = 0.1,
        *,
        normalized: bool = False,
        loss_weighted: bool = False,
        every: int = 1,
    ) -> None:
        super().__init__(every, faults=number_faults({"beta": beta}, float("-inf")))
        self.beta = beta
        self.normalized = normalized
        self.loss_weighted = loss_weighted

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Give the adapted weights."""
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
        return self.replace(names, new)
