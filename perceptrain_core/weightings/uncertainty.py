"""Weights that are parameters: the noise of each term, learned."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn

from perceptrain_core.weightings.base import (
    Gradients,
    Terms,
    Weighting,
    number_faults,
    weighted_sum,
)

_LOOK = 100  # on a GPU, which a look at a value makes wait, one in so many updates


class Uncertainty(Weighting):
    """Learn the noise of each term, as the optimizer learns everything else.

    A. Kendall, Y. Gal, R. Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for
    Scene Geometry and Semantics", CVPR 2018, arXiv 1705.07115. With a trainable log-variance
    ``s_i = log sigma_i^2`` for each term::

        L = sum_i (exp(-s_i) L_i + s_i) / 2

    This is the paper's loss for regression; for terms of classification the paper drops the
    half before ``L_i``. Weights begin at 1/2. For terms that stay as they are the minimum is at
    ``exp(s_i) = L_i``, where each weighted term is 1/2: the weight is the inverse of the term,
    whatever its gradient. A term near 0 would run away with its weight, so a weight is held at
    ``max_weight``, and a warning says so. The loss can be negative.

    The parameters get into the optimizer with those of the model, as the parameters of any loss
    do; so its learning rate and weight decay are theirs too.

    Args:
        terms: The names of the terms with a weight; others count as they are.
        max_weight: The bound of a weight.

    Attributes:
        log_variances: ``s_i`` by the names of the terms, 0-dim parameters.

    Raises:
        ConfigError: There are no names, or ``max_weight`` is no positive number.
    """

    def __init__(self, terms: Sequence[str], *, max_weight: float = 1e4) -> None:
        names = (terms,) if isinstance(terms, str) else tuple(terms)
        faults = number_faults({"max_weight": max_weight}, 1e-6)
        if not names:
            faults.append("terms is empty: expected the names of the terms to weigh")
        super().__init__(names=names, faults=faults)
        # A list, not a ParameterDict: the name of a term may have a dot, that of a parameter not.
        self._parameters_of_terms = nn.ParameterList(torch.zeros(()) for _ in self.names)
        self.max_weight = max_weight
        self._updates = 0

    @property
    def log_variances(self) -> dict[str, nn.Parameter]:
        """``s_i`` by the names of the terms."""
        return dict(zip(self.names, self._parameters_of_terms, strict=True))

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Give the weights as the parameters have them, after holding those that run away."""
        with torch.no_grad():
            for parameter in self._parameters_of_terms:
                parameter.clamp_(min=-log(2 * self.max_weight))
        self.weights = {
            name: (torch.exp(-s.detach()) / 2).clamp(max=self.max_weight)
            for name, s in self.log_variances.items()
        }
        self._updates += 1
        if self._updates % _LOOK == 0 or not self._parameters_of_terms[0].is_cuda:
            bound = self.max_weight * (1 - 1e-6)  # which float32 may have rounded down
            held = [name for name, weight in self.weights.items() if weight.item() >= bound]
            self.tell_of_bound(held, self.max_weight, "Its term is nearly 0.")
        return dict(self.weights)

    def combine(self, terms: Terms, weights: Terms) -> Tensor:
        """Put the loss together from the parameters, with their own terms."""
        own = {n: s.to(terms[n]) for n, s in self.log_variances.items() if n in terms}
        total = weighted_sum(terms, {name: torch.exp(-s) / 2 for name, s in own.items()})
        return total + sum(own.values()) / 2
