"""Random numbers of an optimizer, the same in all processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.distributed as dist


@contextmanager
def random_numbers_of_the_first_process() -> Iterator[None]:
    """Use the random generators of the first process; the others keep their own for later.

    Each process has its own random numbers, but all must take the same step.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        yield
        return
    own = _states()
    shared = [own]
    dist.broadcast_object_list(shared, src=0)
    _restore(shared[0])
    try:
        yield
    finally:
        if dist.get_rank() != 0:
            _restore(own)


def _states() -> tuple[Any, ...]:
    gpu = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    return torch.get_rng_state(), np.random.get_state(), gpu


def _restore(states: tuple[Any, ...]) -> None:
    cpu, numpy, gpu = states
    torch.set_rng_state(cpu)
    np.random.set_state(numpy)
    if gpu is not None:
        torch.cuda.set_rng_state(gpu)
