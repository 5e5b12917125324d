"""Weights from how much each term has gone down, with a random look back."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_core.weightings.base import Gradients, Terms, Weighting, number_faults, ratios


class ReLoBRaLo(Weighting):
    """Relative loss balancing with random look-back: more weight to terms that go down slowly.

    R. Bischof, M. Kraus, "Multi-Objective Loss Balancing for Physics-Informed Deep Learning",
    arXiv 2110.09813. For K terms, with ``b_i(s) = K softmax_i(L_i(t) / (temperature L_i(s)))``::

        w_i <- alpha (rho w_i + (1 - rho) b_i(0)) + (1 - alpha) b_i(t - 1)

    where rho is 1 with probability ``look_back``, else 0: now and then the start is looked at in
    place of what was. The sum of the weights is K, so no weight exceeds K. It needs no gradients.
    Terms are compared with what they were at the update before, not with averages as in `DWA`.

    Args:
        alpha: The share of what was.
        temperature: At small ones the slowest term gets all the weight, at large ones all are
            equal.
        look_back: The probability that the weights, not the start, stand for what was.
        every: The steps from one change to the next; the first step is one.

    Raises:
        ConfigError: An argument cannot be.
    """

    def __init__(
        self,
        alpha: float = 0.999,
        *,
        temperature: float = 1.0,
        look_back: float = 0.9999,
        every: int = 1,
    ) -> None:
        faults = number_faults({"alpha": alpha, "look_back": look_back}, 0, 1)
        faults += number_faults({"temperature": temperature}, 1e-6)
        super().__init__(every, faults=faults)
        self.alpha = alpha
        self.temperature = temperature
        self.look_back = look_back

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Give the balanced weights."""
        names, now = tuple(terms), torch.stack([*terms.values()])
        first, last = self.recall("first", names, now), self.recall("last", names, now)
        old = self.present(names, now[0])
        looks_back = torch.rand((), device=now.device) < self.look_back
        was = torch.where(looks_back, old, self._balance(now, first))
        self.remember("first", names, torch.where((first > 0) & first.isfinite(), first, now))
        self.remember("last", names, torch.where(now.isfinite(), now, last))
        return self.replace(names, torch.lerp(self._balance(now, last), was, self.alpha))

    def _balance(self, now: Tensor, then: Tensor) -> Tensor:
        return len(now) * torch.softmax(ratios(now, then) / self.temperature, dim=0)
