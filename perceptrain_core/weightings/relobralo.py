"""Weights from the relative progress of each term, with a random look-back."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_core.option_checks import number_faults
from perceptrain_core.weightings.base import Gradients, Terms, Weighting, progress
from perceptrain_core.weightings.support.old_spellings import accepts_old_spellings


@accepts_old_spellings
class ReLoBRaLo(Weighting):
    """Relative loss balancing with random look-back: more weight for terms that decrease slowly.

    R. Bischof, M. Kraus, "Multi-Objective Loss Balancing for Physics-Informed Deep Learning",
    arXiv 2110.09813. For K terms, with ``b_i(s) = K softmax_i(L_i(t) / (temperature L_i(s)))``::

        w_i <- momentum (rho w_i + (1 - rho) b_i(0)) + (1 - momentum) b_i(t - 1)

    where rho is 1 with probability ``look_back`` and 0 otherwise: sometimes the progress since the
    start replaces the old weights. The weights add up to K, so no weight exceeds K. Needs no
    gradients. Unlike `DWA`, it compares terms with their values at the last update, not with
    averages.

    Args:
        momentum: Share of the old value in a new weight, the paper's alpha.
        temperature: When small, the slowest term gets all the weight; when large, all weights are
            equal.
        look_back: Probability that the old weights are kept, the paper's expected value of rho.
        every: Optimizer steps between updates. The first step updates.

    Raises:
        ConfigError: An option is invalid.
    """

    draws = True

    def __init__(
        self,
        momentum: float = 0.999,
        *,
        temperature: float = 1.0,
        look_back: float = 0.9999,
        every: int = 1,
    ) -> None:
        faults = number_faults({"look_back": look_back}, at_least=0, at_most=1)
        faults += number_faults({"temperature": temperature}, at_least=1e-6)
        super().__init__(every, momentum=momentum, faults=faults)
        self.temperature = temperature
        self.look_back = look_back

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Update the weights by the progress since the last update or since the start."""
        names, now = tuple(terms), torch.stack([*terms.values()])
        first, last = self.recall("first", names, now), self.recall("last", names, now)
        keeps = torch.rand((), device=now.device) < self.look_back
        previous = torch.where(keeps, self.present(names, now[0]), self._balance(now, first))
        self.remember("first", names, torch.where((first > 0) & first.isfinite(), first, now))
        self.remember("last", names, torch.where(now.isfinite(), now, last))
        return self.replace(names, self._balance(now, last), previous)

    def _balance(self, now: Tensor, then: Tensor) -> Tensor:
        return len(now) * torch.softmax(progress(now, then) / self.temperature, dim=0)
