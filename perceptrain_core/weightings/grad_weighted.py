"""Learning-rate annealing: weights from gradients compared with that of a fixed term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Literal

import torch
from torch import Tensor

from perceptrain_core.capturing import is_capturing
from perceptrain_core.option_checks import choice_faults
from perceptrain_core.weightings.base import Gradients, Terms, Weighting
from perceptrain_core.weightings.support.old_spellings import accepts_old_spellings


@accepts_old_spellings
class GradWeighted(Weighting):
    """Increase the weight of terms whose gradient is small compared with that of a fixed term.

    Learning-rate annealing of S. Wang, Y. Teng, P. Perdikaris, "Understanding and mitigating
    gradient pathologies in physics-informed neural networks". With ``G = max |grad L_fixed|`` over
    all parameters, every ``every`` steps::

        w_i <- momentum w_i + (1 - momentum) G / mean |grad(w_i L_i)|    denominator="weighted"
        w_i <- momentum w_i + (1 - momentum) G / mean |grad L_i|         denominator="unweighted"

    "weighted" with momentum 0.9 is the journal's version (SIAM J. Sci. Comput. 43(5), 2021) and
    the authors' code. "unweighted" is arXiv 2001.04536, algorithm 1, which uses momentum 0.1. They
    are two algorithms: where ``G / mean |grad L_i|`` stays at 2500, the first settles at a weight
    of 50 and the second at 2500.

    Warning:
        With "unweighted", a term that is nearly satisfied has almost no gradient, and its weight
        grows without limit: on the paper's Helmholtz equation it reached 2e7, and the training
        failed. ``max_weight`` stops it; prefer "weighted".

    Args:
        fixed_metric: The fixed term, usually the residual of the equation, or several terms whose
            sum is fixed. Fixed terms keep the weight 1.
        momentum: Share of the old value in a new weight, from 0 (no smoothing) to 1 (weights never
            change).
        denominator: "weighted" or "unweighted", see above.
        every: Optimizer steps between updates. The first step updates. The paper's experiments
            use 10; 1 did better in ours.
        max_weight: Upper bound of a weight, or ``None``. Warns the first time a weight reaches it.
        eps: The weight of a term whose mean gradient is not above this is left unchanged.
        parameters: Parameters whose gradients count: "all" trainable ones, or "matrices", those
            with two dimensions or more: weights without biases. (The authors' code uses matrices
            too, with the mean over the layers of each layer's mean.)
        initial: Initial weights by term name; other terms start at 1.

    Raises:
        ConfigError: An option is invalid; the message lists every fault.
    """

    def __init__(
        self,
        fixed_metric: str | Sequence[str],
        *,
        momentum: float = 0.9,
        denominator: Literal["weighted", "unweighted"] = "weighted",
        every: int = 1,
        max_weight: float | None = 1e4,
        eps: float = 1e-12,
        parameters: Literal["all", "matrices"] = "all",
        initial: Mapping[str, float] | None = None,
    ) -> None:
        fixed = (fixed_metric,) if isinstance(fixed_metric, str) else tuple(fixed_metric or ())
        faults = choice_faults({"denominator": denominator}, ("weighted", "unweighted"))
        faults += choice_faults({"parameters": parameters}, ("all", "matrices"))
        if not fixed:
            faults.insert(0, "fixed_metric is missing: name the term that keeps the weight 1")
        super().__init__(
            every,
            initial,
            momentum=momentum,
            max_weight=max_weight,
            eps=eps,
            fixed_metric=fixed,
            faults=faults,
        )
        self.denominator = denominator
        self.parameter_kind = parameters
        self.advice = (
            "Its gradient is tiny compared with that of the fixed term: check its scale."
            if denominator == "weighted"
            else 'Weights of satisfied terms run away: prefer denominator="weighted".'
        )

    def target(self, terms: Terms, grads: Gradients) -> Tensor | list[float] | None:
        """Return the largest element of the fixed gradient over the mean of each gradient."""
        fixed = [name for name in self.fixed_metric if name in terms]
        if not fixed:
            return None
        gradients = grads().of(self.parameter_kind)
        sizes = gradients.mean_sizes()
        largest = reduce(torch.add, [gradients[name] for name in fixed]).abs().max()
        if is_capturing():
            weighted = self.denominator == "weighted"
            weights = self.present(gradients.names, sizes[0]) if weighted else 1.0
            return self.tensor_ratio(largest, weights * sizes)
        means: list[float] = sizes.tolist()
        if self.denominator == "weighted":
            pairs = zip(gradients.names, means, strict=True)
            means = [self.number(name) * mean for name, mean in pairs]
        return self.ratio(largest.item(), means)

    def extra_repr(self) -> str:
        """Show the main options."""
        return (
            f"fixed_metric={self.fixed_metric}, momentum={self.momentum}, "
            f"denominator={self.denominator!r}, every={self.every}"
        )
