"""Weights that are trained until all terms train at balanced rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from perceptrain_core.option_checks import number_faults
from perceptrain_core.weightings.base import Gradients, Terms, Weighting
from perceptrain_core.weightings.support.old_spellings import accepts_old_spellings

_BETA_1, _BETA_2, _TINY = 0.9, 0.999, 1e-12


@accepts_old_spellings
class GradNorm(Weighting):
    """Train the weights so that terms which lag behind get longer gradients.

    Z. Chen, V. Badrinarayanan, C.-Y. Lee, A. Rabinovich, "GradNorm: Gradient Normalization for
    Adaptive Loss Balancing in Deep Multitask Networks", ICML 2018, arXiv 1711.02257. With
    ``G_i = w_i |grad L_i|`` and the relative training rate ``r_i``, which is ``L_i / L_i(0)`` over
    its mean, the weights take a step down the gradient of ::

        sum_i | G_i - mean(G) r_i^asymmetry |    where mean(G) r_i^asymmetry is held constant

    and are scaled so that their sum stays K. That gradient is
    ``sign(G_i - mean(G) r_i^asymmetry) |grad L_i|``, without second derivatives. The steps are
    Adam's, so they do not depend on the scale of the loss. Not to be confused with
    `GradNormBalance`, which computes its weights and trains nothing.

    A weight is held at ``min_weight`` before the scaling, so no weight is negative or exceeds K.
    The terms must be positive, as sums of squares are; the rate of a term that was always 0 is 1.

    Args:
        asymmetry: How strongly the rates are balanced, the paper's alpha. At 0 all gradients get
            the same length.
        lr: Learning rate of the weights.
        every: Optimizer steps between updates. The first step updates.
        min_weight: Lower bound of a weight, before the scaling.
        parameters: Parameters whose gradients count: "all", "matrices", or names of the model's
            parameters, with wildcards. The paper uses the last layer that the terms share.
        initial: Initial weights by term name; other terms start at 1.

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(
        self,
        asymmetry: float = 1.5,
        *,
        lr: float = 0.025,
        every: int = 1,
        min_weight: float = 1e-3,
        parameters: str | Sequence[str] = "all",
        initial: Mapping[str, float] | None = None,
    ) -> None:
        numbers = {"asymmetry": asymmetry, "lr": lr, "min_weight": min_weight}
        super().__init__(every, initial, faults=number_faults(numbers, at_least=0))
        self.asymmetry = asymmetry
        self.lr = lr
        self.min_weight = min_weight  # applied before the scaling, so not by the base class
        self.parameter_names = parameters

    def target(self, terms: Terms, grads: Gradients) -> Tensor:
        """Return the weights after one more step."""
        gradients = grads().of(self.parameter_names)
        names, norms = gradients.names, gradients.norms()
        losses = torch.stack([terms[name] for name in names]).to(norms)
        old = self.present(names, norms[0])
        slope = self._slope(old, norms, self._rates(names, losses))
        usable = slope.isfinite().all()
        moved = (old - self.lr * self._direction(names, slope, usable)).clamp(min=self.min_weight)
        return torch.where(usable, moved * (old.sum() / moved.sum()), old)

    def _rates(self, names: Sequence[str], losses: Tensor) -> Tensor:
        first = self.recall("first", names, losses)
        first = torch.where((first > 0) & first.isfinite(), first, losses)
        self.remember("first", names, first)
        rates = torch.where(first > 0, losses / first, 1)
        return rates / rates.mean()

    def _slope(self, weights: Tensor, norms: Tensor, rates: Tensor) -> Tensor:
        lengths = weights * norms
        gap = lengths - lengths.mean() * rates**self.asymmetry
        # Lengths that differ only by rounding count as equal.
        level = 8 * torch.finfo(gap.dtype).eps * lengths.mean()
        return torch.where(gap.abs() <= level, 0, gap.sign() * norms)

    def _direction(self, names: Sequence[str], slope: Tensor, usable: Tensor) -> Tensor:
        """Return Adam's direction; update its moments only if the slope is finite."""
        moments = []
        for key, beta, new in (("mean", _BETA_1, slope), ("square", _BETA_2, slope.square())):
            old = self.recall(key, names, torch.zeros_like(slope))
            moments.append(torch.where(usable, torch.lerp(new, old, beta), old))
            self.remember(key, names, moments[-1])
        steps = self.recall("steps", names, torch.zeros_like(slope)) + usable
        self.remember("steps", names, steps)
        mean, square = moments[0] / (1 - _BETA_1**steps), moments[1] / (1 - _BETA_2**steps)
        return mean / (square.sqrt() + _TINY)
