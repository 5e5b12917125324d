"""What the modules of ``training`` use of the trainer."""

from __future__ import annotations

from typing import Protocol

from perceptrain_core.callbacks import Callback, TrainerContext
from perceptrain_core.training.provenance import Provenance
from perceptrain_core.training.run_state import RunState
from perceptrain_core.types import OptimizeStep


class TrainingContext(TrainerContext, Protocol):
    """What a fit and an evaluation use of the trainer, in addition to what callbacks use.

    Attributes:
        run_state: The counters and the history.
        resolved_callbacks: The callbacks in the order in which they run.
        optimize_step: The step function.
        max_batches: The maximum number of batches of each pass over the data.
        provenance: The distribution and version of each named part.
        resume_option: How messages name the option that resumes a run.
    """

    run_state: RunState
    resolved_callbacks: list[Callback]
    optimize_step: OptimizeStep
    max_batches: int | None
    provenance: Provenance
    resume_option: str
