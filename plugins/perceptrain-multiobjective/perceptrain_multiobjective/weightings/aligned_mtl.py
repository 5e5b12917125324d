"""Aligned-MTL: orthogonal gradients of equal length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from perceptrain import check_choice
from perceptrain_multiobjective.aggregated import Aggregated, Rule


class AlignedMTL(Aggregated):
    """Aligned-MTL: align the principal components of the gradients, and sum.

    D. Senushkin et al., "Independent Component Alignment for Multi-Task Learning", CVPR 2023,
    arXiv 2305.19000. The matrix of gradients is replaced by the nearest matrix whose rows are
    orthogonal and equally long. Weights may be negative.

    Args:
        preference: Importance of each term, by name, for all terms. By default all are equal.
        scale_mode: The length of the rows: "min", "median" or "rmse" of the singular values.
        every: Update the weights every this many steps, starting with the first.

    Raises:
        ConfigError: An argument is out of range.
    """

    def __init__(
        self,
        preference: Mapping[str, float] | None = None,
        *,
        scale_mode: Literal["min", "median", "rmse"] = "min",
        every: int = 1,
    ) -> None:
        super().__init__(every, preference)
        check_choice("scale_mode", scale_mode, ("min", "median", "rmse"))
        self.scale_mode: Literal["min", "median", "rmse"] = scale_mode

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Return the rule of torchjd, without reading values."""

        def rule(gramian: Tensor) -> Tensor:
            equal = gramian.new_full((len(gramian),), 1 / len(gramian))
            importance = equal if preference is None else preference.to(gramian)
            return _balance(gramian, self.scale_mode) @ importance

        return rule


def _balance(gramian: Tensor, scale_mode: str) -> Tensor:
    """Return the matrix that makes the gradients orthogonal and equally long."""
    count = len(gramian)
    values, vectors = torch.linalg.eigh(gramian, UPLO="U")  # in ascending order
    kept = values > values[-1] * count * torch.finfo(values.dtype).eps
    rank = kept.sum()
    if scale_mode == "rmse":
        scale = values.where(kept, 0.0).sum() / rank
    else:
        above = (rank - 1).div(2, rounding_mode="floor") if scale_mode == "median" else 0
        scale = values.gather(0, (count - rank + above).clamp(max=count - 1).reshape(1))
    inverse = torch.where(kept, values.rsqrt(), 0.0)
    balance: Tensor = scale.sqrt() * (vectors * inverse) @ vectors.T
    return balance
