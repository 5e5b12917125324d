"""How values of the probability integral transform are distributed."""

from __future__ import annotations

import torch
from torch import Tensor


def share_below(lower: Tensor, upper: Tensor, levels: Tensor) -> Tensor:
    """Return the part of each value that is below each level, in a last dimension.

    A value that is only known to be between two numbers counts as spread evenly between them, so
    the mean over values is the non-randomized distribution of Czado, Gneiting and Held (2009).

    Args:
        lower: The lower ends, of any shape.
        upper: The upper ends, of the same shape; equal to the lower ones for known values.
        levels: The levels, of one dimension.
    """
    lower, width = lower.unsqueeze(-1), (upper - lower).unsqueeze(-1)
    known = width <= 0
    part = ((levels - lower) / torch.where(known, 1.0, width)).clamp(0, 1)
    return torch.where(known, (lower <= levels).to(part), part)
