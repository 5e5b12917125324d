"""Choose the engine for a run."""

from __future__ import annotations

import torch

from perceptrain_core.engine.distributed import DistributedEngine, several_processes
from perceptrain_core.engine.local import LocalEngine
from perceptrain_core.engine.process_group import PROCESS_TIMEOUT
from perceptrain_core.engine.protocol import Engine


def make_engine(
    compute_setup: str = "cpu",
    dtype: torch.dtype | None = None,
    backend: str = "auto",
    timeout: float = PROCESS_TIMEOUT,
) -> Engine:
    """Create the engine of this process: for a single process, or for one of several.

    Args:
        compute_setup: ``"cpu"``, ``"gpu"``, or ``"auto"``.
        dtype: For the model and floating point data; ``None`` keeps theirs.
        backend: The backend of ``torch.distributed``; unused by a single process.
        timeout: Seconds that a process waits for the others.

    Raises:
        TrainingError: The device or backend is not available, or the processes cannot be
            connected.
    """
    if several_processes():
        return DistributedEngine(compute_setup, dtype, backend, timeout)
    return LocalEngine(compute_setup, dtype)
