"""Gradients made orthogonal and equally long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor
from torchjd.aggregation import AlignedMTLWeighting

from perceptrain.errors import ConfigError
from perceptrain_multiobjective.aggregated import Aggregated, Rule


class AlignedMTL(Aggregated):
    """Aligned-MTL: align the principal components of the gradients, and add.

    D. Senushkin et al., "Independent Component Alignment for Multi-Task Learning", CVPR 2023,
    arXiv 2305.19000. The matrix of gradients is replaced by the nearest one whose rows are
    orthogonal and of one length. A weight may be negative.

    Args:
        preference: How much each term counts, by the names of all terms; by default all the same.
        scale_mode: That length: of the "min", "median" or "rmse" of the singular values.
        every: The steps from one change to the next; the first step is one.

    Raises:
        ConfigError: An argument cannot be.
    """

    def __init__(
        self,
        preference: Mapping[str, float] | None = None,
        *,
        scale_mode: Literal["min", "median", "rmse"] = "min",
        every: int = 1,
    ) -> None:
        super().__init__(every, preference)
        if scale_mode not in ("min", "median", "rmse"):
            raise ConfigError(f'scale_mode={scale_mode!r}: expected "min", "median" or "rmse".')
        self.scale_mode: Literal["min", "median", "rmse"] = scale_mode

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Make the rule of torchjd."""
        return AlignedMTLWeighting(preference, self.scale_mode)
