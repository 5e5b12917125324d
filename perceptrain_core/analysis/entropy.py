"""The entropy of changes in a symbol sequence, and the smallest frequency that it implies."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor


def entropy_of_changes(deltas: Tensor, epsilon: Tensor) -> Tensor:
    """Return the information content (0-dim) of slopes of shape ``(M,)`` at a threshold."""
    symbols = (deltas > epsilon).long() - (deltas < -epsilon).long() + 1
    pairs = 3 * symbols[:-1] + symbols[1:]
    shares = torch.bincount(pairs, minlength=9).double() / len(pairs)
    changes = shares.view(3, 3)[~torch.eye(3, dtype=torch.bool)]
    return -torch.xlogy(changes, changes).sum() / log(6)


def smallest_share(content: float) -> float:
    """Solve ``content = 4 h(q) + 2 h(1/2 - 2q)`` for ``q`` in [0, 1/6], where it increases.

    The result is 0 if ``content`` is below the smallest value, ``log_6(2)``.
    """
    low, high = 0.0, 1 / 6
    for _ in range(60):
        middle = (low + high) / 2
        too_small = 4 * _h(middle) + 2 * _h(0.5 - 2 * middle) < content
        low, high = (middle, high) if too_small else (low, middle)
    return low


def _h(share: float) -> float:
    return -share * log(share) / log(6) if share > 0 else 0.0
