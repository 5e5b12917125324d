"""The pinball loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pinball(labels: Tensor, quantiles: Tensor, levels: Sequence[float]) -> Tensor:
    """Return the pinball loss of each quantile (Koenker and Bassett, 1978).

    Args:
        labels: Any shape.
        quantiles: One more dimension, of the levels.
        levels: Between 0 and 1.
    """
    errors = labels.unsqueeze(-1) - quantiles
    level = quantiles.new_tensor(list(levels))
    return torch.maximum(level * errors, (level - 1) * errors)
