"""Base of callbacks that count epochs or batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage


class OncePerEpoch(Callback):
    """On an epoch stage, run at most once per epoch, even if the stage is signalled twice.

    This happens when a user calls ``validate`` during or after a fit. If the run validates after
    steps, it runs at most once per step at the end of a validation. Subclasses override `update`
    instead of ``run_callback``, and extend `reset`.
    """

    last_call: int = 0

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Call `update`, unless it has been called for this epoch."""
        if "epoch" in self.on:
            now = self._now(trainer)
            if now <= self.last_call:
                return
            self.last_call = now
        self.update(trainer, config)

    def update(self, trainer: TrainerContext, config: TrainConfig) -> None:
        """Do the work; subclasses override this."""
        raise NotImplementedError

    def reset(self) -> None:
        """Discard the state of earlier runs."""
        self.last_call = 0

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Reset the state, unless the run is resumed."""
        if not resumed:
            self.reset()

    def end_run(self, trainer: TrainerContext) -> None:
        """Ignore validations after the fit."""
        self.last_call = max(self.last_call, self._now(trainer))

    def _now(self, trainer: TrainerContext) -> int:
        """Return the epoch, or the step if validations are after steps."""
        after_steps = trainer.config.val_every_steps and self.on is TrainingStage.VAL_EPOCH_END
        return trainer.global_step if after_steps else trainer.current_epoch

    def state_dict(self) -> dict[str, Any]:
        """Return the last epoch or step that was handled."""
        return {"last_call": self.last_call}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the last epoch or step that was handled."""
        self.last_call = state["last_call"]
