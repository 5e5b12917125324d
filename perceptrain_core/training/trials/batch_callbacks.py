"""The callbacks and hooks of batches, called in a trial without an effect on the run."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy, deepcopy
from dataclasses import replace
from typing import Any

from perceptrain_core.callbacks import Callback
from perceptrain_core.errors import TrainingError
from perceptrain_core.trackers.none import NoTracker
from perceptrain_core.training.context import TrainingContext
from perceptrain_core.training.events import Events
from perceptrain_core.training.run_state import RunState
from perceptrain_core.types import StepResult
from perceptrain_core.types import TrainingStage as Stage

_STAGES = {Stage.TRAIN_BATCH_START, Stage.TRAIN_BATCH_END}


class BatchCallbacks:
    """Call copies of the callbacks of batches, and the hooks of a copy of the trainer.

    They work on the trainer's model and optimizer, and write to no tracker. Callbacks that save
    the run are left out.

    Args:
        trainer: The trainer.
        used: Whether to call any.

    Raises:
        TrainingError: A callback cannot be copied.
    """

    def __init__(self, trainer: TrainingContext, used: bool = True) -> None:
        self._seen = 0
        shadow = copy(trainer)
        shadow.config = replace(trainer.config, verbose=False)
        shadow.run_state = self._state = RunState(replace(trainer.opt_result, extra={}))
        self._state.log_folder = trainer.run_state.log_folder
        shared = {id(part): part for part in (trainer, trainer.model, trainer.optimizer)}
        shared[id(trainer.loss_fn)] = trainer.loss_fn
        called = [c for c in trainer.resolved_callbacks if c.on in _STAGES and not c.saves_run]
        shadow.resolved_callbacks = [_copied(c, shared) for c in called] if used else []
        for callback in shadow.resolved_callbacks:
            callback.begin_run(shadow, resumed=False)
        events = Events(shadow, shadow.config, NoTracker())
        self._events = events if used else None

    def start(self, batches: Sequence[Any]) -> None:
        """Call those of the start of a batch."""
        if self._events is not None:
            for count, batch in enumerate(batches, self._seen + 1):
                self._events.notify(Stage.TRAIN_BATCH_START, count, batch, savers=False)

    def end(self, results: Sequence[StepResult | None]) -> None:
        """Call those of the end of a batch, with what its step returned."""
        if self._events is not None:
            self._state.global_step += 1
            for count, result in enumerate(results, self._seen + 1):
                if result is not None:
                    self._state.opt_result.loss, self._state.opt_result.metrics = result
                    self._events.notify(Stage.TRAIN_BATCH_END, count, result, savers=False)
        self._seen += len(results)


def _copied(callback: Callback, shared: dict[int, Any]) -> Callback:
    try:
        return deepcopy(callback, dict(shared))
    except Exception as error:
        raise TrainingError(
            f"The callback {type(callback).__name__} cannot be copied, so that it can be called "
            f"without an effect on the run: {error}. Pass callbacks=False to leave callbacks out."
        ) from error
