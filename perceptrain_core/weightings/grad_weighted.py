"""Learning-rate annealing: the weights of terms, by their gradients beside that of a fixed one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Literal

import torch
from torch import Tensor

from perceptrain_core.weightings.base import Gradients, Terms, Weighting, is_number


class GradWeighted(Weighting):
    """Give a term whose gradient is small beside that of the fixed term a larger weight.

    Learning-rate annealing of S. Wang, Y. Teng, P. Perdikaris, "Understanding and mitigating
    gradient pathologies in physics-informed neural networks". With ``G = max |grad L_fixed|`` over
    all parameters, every ``every`` steps::

        w_i <- (1 - alpha) w_i + alpha G / mean |grad(w_i L_i)|    denominator="weighted"
        w_i <- (1 - alpha) w_i + alpha G / mean |grad L_i|         denominator="unweighted"

    "weighted", with alpha = 0.1, is the journal's version (SIAM J. Sci. Comput. 43(5), 2021) and
    the code of the authors. "unweighted" is arXiv 2001.04536, algorithm 1, there with
    alpha = 0.9; they are two algorithms: where ``G / mean |grad L_i|`` stays at 2500, the first
    settles at a weight of 50 and the second at 2500.

    Warning:
        With "unweighted" a term that is nearly satisfied has hardly a gradient, and nothing holds
        its weight: on the Helmholtz equation of the paper it ran away to 2e7, and the training
        failed. ``max_weight`` bounds it; prefer "weighted".

    Args:
        fixed: The name of the fixed term, usually the residual of the equation, or several names
            whose sum is fixed; it has no weight.
        alpha: The share of the new value, from 0 (weights stay) to 1 (no memory).
        denominator: "weighted" or "unweighted", see above.
        every: The steps from one change to the next; the first step is one. The experiments of
            the paper use 10.
        max_weight: The bound of a weight that changes, or ``None``; a warning says when it holds.
        eps: A term whose mean gradient is not above this keeps its weight.
        parameters: "all" takes the statistics over all trainable parameters; "matrices" over
            those of two dimensions or more, weights without biases. (The code of the authors does
            so too, with the mean over the layers of each one's mean.)
        initial: The weights to start with, by the names of the terms; others start at 1.

    Raises:
        ConfigError: An argument cannot be; the message lists every fault at once.
    """

    def __init__(
        self,
        fixed: str | Sequence[str],
        alpha: float = 0.1,
        *,
        denominator: Literal["weighted", "unweighted"] = "weighted",
        every: int = 10,
        max_weight: float | None = 1e4,
        eps: float = 1e-12,
        parameters: Literal["all", "matrices"] = "all",
        initial: Mapping[str, float] | None = None,
    ) -> None:
        names = tuple(dict.fromkeys([fixed] if isinstance(fixed, str) else fixed or ()))
        given = initial or {}
        faults = _faults(names, alpha, denominator, max_weight, eps, parameters, given)
        own = {name: weight for name, weight in given.items() if name not in names}
        super().__init__(every, own, names=names, faults=faults)
        self.fixed = names
        self.alpha = alpha
        self.denominator = denominator
        self.max_weight = inf if max_weight is None else max_weight
        self.eps = eps
        self.parameter_kind = parameters

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Give the annealed weights."""
        present = [name for name in self.fixed if name in terms]
        if not present:
            return dict(self.weights)
        gradients = grads().of(self.parameter_kind)
        sizes = gradients.matrix.abs()
        means, maxima = sizes.mean(dim=1).tolist(), sizes.amax(dim=1).tolist()
        if len(present) > 1:
            largest = torch.stack([gradients[name] for name in present]).sum(0).abs().max().item()
        else:
            largest = maxima[gradients.names.index(present[0])]
        new = {
            name: self._annealed(self.number(name), mean, largest)
            for name, mean in zip(gradients.names, means, strict=True)
            if name not in self.fixed
        }
        return self.take(
            new,
            next(iter(terms.values())),
            self.max_weight,
            self._advice(),
        )

    def _advice(self) -> str:
        if self.denominator == "unweighted":
            return 'Weights run away from terms that are satisfied: prefer denominator="weighted".'
        return "Its gradient is tiny beside that of the fixed term: look at its scale."

    def _annealed(self, weight: float, mean: float, largest: float) -> float:
        if self.denominator == "weighted":
            mean = weight * mean
        # A term without a gradient, or with one that is not finite, keeps its weight.
        if not self.eps < mean < inf or not largest < inf:
            return weight
        return weight + self.alpha * (largest / mean - weight)

    def extra_repr(self) -> str:
        """Show the options that matter."""
        return (
            f"fixed={self.fixed}, alpha={self.alpha}, denominator={self.denominator!r}, "
            f"every={self.every}"
        )


def _faults(
    fixed: tuple[str, ...],
    alpha: object,
    denominator: object,
    max_weight: object,
    eps: object,
    parameters: object,
    initial: Mapping[str, float],
) -> list[str]:
    numbers = {"alpha": alpha, "eps": eps, "max_weight": 1 if max_weight is None else max_weight}
    wrong = [f"{k}={v!r}: expected a number" for k, v in numbers.items() if not is_number(v)]
    if wrong:
        return wrong
    found = {
        "fixed_metric is missing: name the term that keeps the weight 1": not fixed,
        f"alpha={alpha}: expected a number from 0 to 1": not 0 <= numbers["alpha"] <= 1,  # type: ignore[operator]
        f'denominator={denominator!r}: expected "weighted" or "unweighted"': (
            denominator not in ("weighted", "unweighted")
        ),
        f"max_weight={max_weight}: expected a positive number or None": (
            not numbers["max_weight"] > 0  # type: ignore[operator]
        ),
        f"eps={eps}: expected a number that is not negative": not numbers["eps"] >= 0,  # type: ignore[operator]
        f'parameters={parameters!r}: expected "all" or "matrices"': (
            parameters not in ("all", "matrices")
        ),
    }
    found |= {
        f"the weight of the fixed {name!r} is {initial[name]}: expected 1": initial[name] != 1
        for name in fixed
        if name in initial
    }
    return [text for text, is_wrong in found.items() if is_wrong]
