"""Which engine a run needs."""

from __future__ import annotations

import torch

from perceptrain_core.engine.distributed import DistributedEngine, several_processes
from perceptrain_core.engine.local import LocalEngine
from perceptrain_core.engine.protocol import Engine


def make_engine(
    compute_setup: str = "cpu", dtype: torch.dtype | None = None, backend: str = "auto"
) -> Engine:
    """Make the engine for this process: alone, or one of several that work together.

    Args:
        compute_setup: ``"cpu"``, ``"gpu"``, or ``"auto"``.
        dtype: For the model and floating point data; ``None`` leaves them.
        backend: Of ``torch.distributed``; unused by a single process.

    Raises:
        TrainingError: There is no such device or backend.
    """
    if several_processes():
        return DistributedEngine(compute_setup, dtype, backend)
    return LocalEngine(compute_setup, dtype)
