"""One-hot labels for criteria that are evaluated term by term."""

from __future__ import annotations

from typing import Any

from monai.networks.utils import one_hot
from torch import Tensor


def as_onehot(criterion: Any, logits: Tensor, target: Tensor) -> Tensor:
    """Make labels one-hot, as the criterion itself does before it evaluates its terms."""
    return one_hot(target, logits.shape[1]) if criterion.to_onehot_y else target
