"""Weights that are parameters: a learned variance for each term."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn

from perceptrain_core.errors import ConfigError
from perceptrain_core.weightings.base import Gradients, Terms, Weighting, weighted_sum

_ROOM = 32  # terms that fit where their number is not known yet


class Uncertainty(Weighting):
    """Learn a variance for each term, trained by the optimizer together with the model.

    A. Kendall, Y. Gal, R. Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for
    Scene Geometry and Semantics", CVPR 2018, arXiv 1705.07115. With a trainable log-variance
    ``s_i = log sigma_i^2`` for each term::

        L = sum_i (exp(-s_i) L_i + s_i) / 2

    This is the paper's loss for regression; for classification the paper omits the factor 1/2 of
    ``L_i``. Weights start at 1/2. For constant terms the minimum is at ``exp(s_i) = L_i``, where
    each weighted term is 1/2: the weight is the inverse of the term, whatever its gradient. The
    weight of a term near 0 would grow without limit, so it is held at ``max_weight``, with a
    warning. The loss can be negative.

    The trainer adds the parameters to the optimizer, as it does for any loss with parameters, so
    its learning rate and weight decay apply to them.

    Args:
        terms: Names of the terms to weight; other terms have the weight 1. By default all terms of
            the first batch in training, at most 32.
        max_weight: Upper bound of a weight.

    Attributes:
        terms: Names of the weighted terms; empty until they are known.
        log_variances: ``s_i`` by term name, 0-dim views of the one parameter.

    Raises:
        ConfigError: ``terms`` is empty, ``max_weight`` is not a positive number, or the first batch
            has more than 32 terms.
    """

    advice = "Its term is nearly 0."

    def __init__(
        self, terms: str | Sequence[str] | None = None, *, max_weight: float = 1e4
    ) -> None:
        names = (terms,) if isinstance(terms, str) else tuple(terms or ())
        empty = terms is not None and not names
        faults = ["terms is empty: expected names of terms, or None for all"] if empty else []
        super().__init__(max_weight=max_weight, names=names, faults=faults)
        # One vector, made before the optimizer is. Elements that stay unused have the gradient 0.
        self._values = nn.Parameter(torch.zeros(len(self.names) or _ROOM))

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the weighted terms; empty until they are known."""
        return self.names or tuple(self.memory.get("terms", ()))

    @property
    def log_variances(self) -> dict[str, Tensor]:
        """``s_i`` by term name."""
        return {name: self._values[place] for place, name in enumerate(self.terms)}

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Read the weights off the parameters, and keep those within their bound."""
        if not self.terms:
            self._learn(tuple(terms))
        names = self.terms
        weights = torch.exp(-self._values.detach()[: len(names)]) / 2
        with torch.no_grad():
            self._values.clamp_(min=-log(2 * self.max_weight))
        return self.replace(names, weights)

    def combine(self, terms: Terms, weights: Terms) -> Tensor:
        """Compute the loss from the parameters, including their own terms."""
        own = self._present(terms)
        return weighted_sum(terms, _weights(own)) + sum(own.values()) / 2

    def factors(self, terms: Terms, weights: Terms) -> Terms:
        """Return the weights, with their graph."""
        return _weights(self._present(terms))

    def _present(self, terms: Terms) -> dict[str, Tensor]:
        return {n: s.to(terms[n]) for n, s in self.log_variances.items() if n in terms}

    def _learn(self, names: tuple[str, ...]) -> None:
        if len(names) > len(self._values):
            raise ConfigError(
                f"Uncertainty: the loss has {len(names)} terms, and at most {len(self._values)} "
                "can be learned from the first batch. Name them: terms=[...]."
            )
        self.memory["terms"] = list(names)


def _weights(log_variances: Terms) -> dict[str, Tensor]:
    return {name: torch.exp(-s) / 2 for name, s in log_variances.items()}
