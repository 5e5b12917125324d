"""Constant weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from perceptrain_core.errors import ConfigError
from perceptrain_core.weightings.base import Gradients, Terms, Weighting
from perceptrain_core.weightings.support.old_spellings import accepts_old_spellings


@accepts_old_spellings
class Fixed(Weighting):
    """Weights that never change.

    Args:
        weights: The weights by term name; other terms have the weight 1.

    Raises:
        ConfigError: ``weights`` is not a dict, or a weight is negative or not finite.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        if not isinstance(weights, Mapping):
            raise ConfigError(
                f"weights={weights!r}: expected a dict of numbers by term name, such as "
                '{"boundary": 100.0}.'
            )
        super().__init__(initial=weights)

    def target(self, terms: Terms, grads: Gradients) -> Tensor | None:
        """Return ``None``: the weights stay as they are."""
        return None
