"""Choose the engine for a run."""

from __future__ import annotations

import torch

from perceptrain_core.engine.distributed import DistributedEngine, several_processes
from perceptrain_core.engine.local import LocalEngine
from perceptrain_core.engine.protocol import Engine


def make_engine(
    compute_setup: str = "cpu", dtype: torch.dtype | None = None, backend: str = "auto"
) -> Engine:
    """Create the engine of this process: for a single process, or for one of several.

    Args:
        compute_setup: ``"cpu"``, ``"gpu"``, or ``"auto"``.
        dtype: For the model and floating point data; ``None`` keeps theirs.
        backend: The backend of ``torch.distributed``; unused by a single process.

    Raises:
        TrainingError: The device or backend is not available.
    """
    if several_processes():
        return DistributedEngine(compute_setup, dtype, backend)
    return LocalEngine(compute_setup, dtype)
