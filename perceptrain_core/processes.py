"""The processes that ``torch.distributed`` has connected."""

from __future__ import annotations

import torch.distributed as dist


def connected_processes() -> int:
    """Return how many processes are connected, this one included; 0 if none are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 0
