"""Weights that stay as they are given."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from perceptrain_core.errors import ConfigError
from perceptrain_core.weightings.base import Gradients, Terms, Weighting


class Fixed(Weighting):
    """Weights that never change: a term has the one that is given for it, or 1.

    Args:
        weights: The weights, by the names of the terms.

    Raises:
        ConfigError: They are no dict, or a weight is negative or not finite.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        if not isinstance(weights, Mapping):
            raise ConfigError(
                f"weights={weights!r}: expected a dict of numbers by the names of the terms, such "
                'as {"boundary": 100.0}.'
            )
        super().__init__(initial=weights)

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Give the same weights again."""
        return dict(self.weights)
