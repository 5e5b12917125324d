"""Weights that are trained until the terms train at balanced rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from perceptrain_core.weightings.base import Gradients, Terms, Weighting, number_faults

_BETA_1, _BETA_2, _TINY = 0.9, 0.999, 1e-12


class GradNorm(Weighting):
    """Train the weights so that terms which lag behind get longer gradients.

    Z. Chen, V. Badrinarayanan, C.-Y. Lee, A. Rabinovich, "GradNorm: Gradient Normalization for
    Adaptive Loss Balancing in Deep Multitask Networks", ICML 2018, arXiv 1711.02257. With
    ``G_i = w_i |grad L_i|`` and the training rate ``r_i``, which is ``L_i / L_i(0)`` over its mean,
    the weights take a step down the gradient of ::

        sum_i | G_i - mean(G) r_i^alpha |    where mean(G) r_i^alpha is held constant

    and are scaled so that their sum is what it was, K. That gradient is
    ``sign(G_i - mean(G) r_i^alpha) |grad L_i|``: there is no second derivative. The steps are
    those of Adam, so that they do not depend on the scale of the loss. It is not
    `GradNormBalance`, which shares the words and trains nothing.

    A weight is held at ``min_weight`` before the scaling, so none is negative or exceeds K. The
    terms must be positive, as sums of squares are; one that has been 0 so far counts as one that
    has not moved.

    Args:
        alpha: How strongly rates are balanced: at 0 all gradients get the same length.
        lr: The learning rate of the weights.
        every: The steps from one change to the next; the first step is one.
        min_weight: The least weight.
        parameters: "all", "matrices", or names of parameters of the model, with wildcards, whose
            gradients are looked at. The paper takes the last layer that the terms share.
        initial: The weights to start with, by the names of the terms; others start at 1.

    Raises:
        ConfigError: An argument cannot be.
    """

    def __init__(
        self,
        alpha: float = 1.5,
        *,
        lr: float = 0.025,
        every: int = 1,
        min_weight: float = 1e-3,
        parameters: str | Sequence[str] = "all",
        initial: Mapping[str, float] | None = None,
    ) -> None:
        faults = number_faults({"alpha": alpha, "lr": lr, "min_weight": min_weight})
        super().__init__(every, initial, faults=faults)
        self.alpha = alpha
        self.lr = lr
        self.min_weight = min_weight
        self.parameter_names = parameters

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Give the weights after one more step."""
        gradients = grads().of(self.parameter_names)
        names, norms = gradients.names, gradients.norms()
        losses = torch.stack([terms[name] for name in names]).to(norms)
        old = self.present(names, norms[0])
        slope = self._slope(old, norms, self._rates(names, losses))
        usable = slope.isfinite().all()
        moved = (old - self.lr * self._direction(names, slope, usable)).clamp(min=self.min_weight)
        return self.replace(names, torch.where(usable, moved * (old.sum() / moved.sum()), old))

    def _rates(self, names: Sequence[str], losses: Tensor) -> Tensor:
        first = self.recall("first", names, losses)
        first = torch.where((first > 0) & first.isfinite(), first, losses)
        self.remember("first", names, first)
        rates = torch.where(first > 0, losses / first, 1)
        return rates / rates.mean()

    def _slope(self, weights: Tensor, norms: Tensor, rates: Tensor) -> Tensor:
        lengths = weights * norms
        gap = lengths - lengths.mean() * rates**self.alpha
        # Lengths that are equal but for rounding are equal.
        level = 8 * torch.finfo(gap.dtype).eps * lengths.mean()
        return torch.where(gap.abs() <= level, 0, gap.sign() * norms)

    def _direction(self, names: Sequence[str], slope: Tensor, usable: Tensor) -> Tensor:
        """Give the direction of Adam, and remember its moments, unless the slope is of no use."""
        moments = []
        for key, beta, new in (("mean", _BETA_1, slope), ("square", _BETA_2, slope.square())):
            kept = self.recall(key, names, torch.zeros_like(slope))
            self.remember(key, names, torch.where(usable, torch.lerp(new, kept, beta), kept))
            moments.append(self.recall(key, names, kept))
        taken = self.recall("taken", names, torch.zeros_like(slope)) + usable
        self.remember("taken", names, taken)
        mean, square = moments[0] / (1 - _BETA_1**taken), moments[1] / (1 - _BETA_2**taken)
        return mean / (square.sqrt() + _TINY)
