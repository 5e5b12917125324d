"""Seeds, and deterministic algorithms for the length of a fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from perceptrain_core.engine import Engine
from perceptrain_core.random_state import seed_everything


@contextmanager
def deterministic_algorithms(wanted: bool) -> Iterator[None]:
    """Make torch use deterministic algorithms only, if ``wanted``; restore its settings afterwards.

    An operation without a deterministic algorithm raises torch's own error, which names it. On CUDA
    some need the environment variable ``CUBLAS_WORKSPACE_CONFIG``, as that error says.
    """
    if not wanted:
        yield
        return
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark


def seed_run(engine: Engine, seed: int | None) -> None:
    """Seed the global random generators, if there is a seed.

    In several processes they are always seeded, each process differently.
    """
    if engine.world_size > 1:
        drawn = int(torch.randint(2**31, ()))
        base = engine.broadcast(drawn if seed is None else seed)
        seed = (base + engine.rank) % 2**32
    if seed is not None:
        seed_everything(seed)
