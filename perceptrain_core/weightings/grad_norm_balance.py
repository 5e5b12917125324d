"""Weights that make the gradients of all terms equally long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perceptrain_core.weightings.base import Gradients, Terms, Weighting
from perceptrain_core.weightings.support.old_spellings import accepts_old_spellings


@accepts_old_spellings
class GradNormBalance(Weighting):
    """Weight each term by the sum of all gradient norms over its own gradient norm.

    S. Wang, S. Sankaran, H. Wang, P. Perdikaris, "An Expert's Guide to Training Physics-informed
    Neural Networks", arXiv 2308.08468, algorithm 1. Every ``every`` steps::

        w_i <- momentum w_i + (1 - momentum) sum_j |grad L_j| / |grad L_i|

    with 2-norms of the gradients of the unweighted terms. At a fixed point all
    ``w_i |grad L_i|`` are equal. Not to be confused with `GradWeighted`, which compares the largest
    element of one gradient with a mean, or with `GradNorm` of Chen et al., which trains the
    weights.

    Warning:
        A term that is nearly satisfied has almost no gradient, so its weight grows until
        ``max_weight`` stops it, with a warning.

    Args:
        momentum: Share of the old value in a new weight.
        every: Optimizer steps between updates. The first step updates.
        max_weight: Upper bound of a weight.
        eps: The weight of a term whose gradient norm is not above this is left unchanged.
        parameters: Parameters whose gradients count: "all", "matrices", or names of the model's
            parameters, with wildcards.
        initial: Initial weights by term name; other terms start at 1.

    Raises:
        ConfigError: An option is invalid.
    """

    advice = "Its gradient is tiny compared with the others: is it satisfied, or wrongly scaled?"

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
        super().__init__(every, initial, momentum=momentum, max_weight=max_weight, eps=eps)
        self.parameter_names = parameters

    def target(self, terms: Terms, grads: Gradients) -> list[float]:
        """Return the sum of the norms over each norm."""
        norms = grads().of(self.parameter_names).norms().tolist()
        return self.ratio(sum(norms), norms)
