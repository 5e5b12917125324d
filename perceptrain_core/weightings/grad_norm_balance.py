"""Weights that make the gradients of all terms equally long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from torch import Tensor

from perceptrain_core.weightings.base import Gradients, Terms, Weighting, number_faults


class GradNormBalance(Weighting):
    """Weigh each term by the sum of the norms of all terms' gradients over its own norm.

    S. Wang, S. Sankaran, H. Wang, P. Perdikaris, "An Expert's Guide to Training Physics-informed
    Neural Networks", arXiv 2308.08468, algorithm 1. Every ``every`` steps::

        w_i <- momentum w_i + (1 - momentum) sum_j |grad L_j| / |grad L_i|

    with 2-norms of the gradients of the unweighted terms. At a fixed point all
    ``w_i |grad L_i|`` are the same. It is neither `GradWeighted`, which takes the largest element
    of the fixed term's gradient over a mean, nor `GradNorm` of Chen et al., which trains the
    weights.

    Warning:
        A term that is nearly satisfied has hardly a gradient, and nothing else holds its weight:
        ``max_weight`` does, and a warning says so.

    Args:
        momentum: The share of the old value.
        every: The steps from one change to the next; the first step is one.
        max_weight: The bound of a weight that changes.
        eps: A term whose gradient is not longer than this keeps its weight.
        parameters: "all", "matrices", or names of parameters of the model, with wildcards, whose
            gradients are looked at.
        initial: The weights to start with, by the names of the terms; others start at 1.

    Raises:
        ConfigError: An argument cannot be.
    """

    def __init__(
        self,
        momentum: float = 0.9,
        *,
        every: int = 1000,
        max_weight: float = 1e5,
        eps: float = 1e-12,
        parameters: str | Sequence[str] = "all",
        initial: Mapping[str, float] | None = None,
    ) -> None:
        faults = number_faults({"momentum": momentum}, 0, 1)
        faults += number_faults({"max_weight": max_weight, "eps": eps})
        super().__init__(every, initial, faults=faults)
        self.momentum = momentum
        self.max_weight = max_weight
        self.eps = eps
        self.parameter_names = parameters

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Give the balanced weights."""
        gradients = grads().of(self.parameter_names)
        lengths = gradients.norms().tolist()
        total = sum(lengths)
        new = {
            name: self._balanced(self.number(name), length, total)
            for name, length in zip(gradients.names, lengths, strict=True)
        }
        advice = "Its gradient is tiny beside the others: is it satisfied, or wrong in scale?"
        return self.take(new, next(iter(terms.values())), self.max_weight, advice)

    def _balanced(self, weight: float, length: float, total: float) -> float:
        # A length that is not finite makes the sum so, and then no weight changes.
        if not (length > self.eps and total < inf):
            return weight
        return weight + (1 - self.momentum) * (total / length - weight)
