"""The processes that ``torch.distributed`` has connected."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import torch.distributed as dist


def connected_processes() -> int:
    """Return how many processes are connected, this one included; 0 if none are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 0


@lru_cache
def hash_of_names(names: tuple[str, ...]) -> int:
    """Return a number of 40 bits: the sum over thousands of processes is exact in a float64."""
    return int.from_bytes(blake2b(repr(names).encode(), digest_size=5).digest())


def describe_difference(everywhere: Sequence[Sequence[str]]) -> str:
    """Return the names in process 0, and those in the first process that has others.

    Args:
        everywhere: The names in each process, which are not all the same.
    """
    rank = next(n for n, found in enumerate(everywhere) if found != everywhere[0])
    first, other = (", ".join(map(repr, everywhere[n])) or "none" for n in (0, rank))
    return f"{first} in process 0, but {other} in process {rank}"
