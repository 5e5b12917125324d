"""A generator of its own for a random order."""

from __future__ import annotations

import torch


def private_generator() -> torch.Generator:
    """Return a generator seeded with one draw from torch's default generator."""
    seed = int(torch.empty((), dtype=torch.int64).random_().item())
    return torch.Generator().manual_seed(seed)
