"""Base of callbacks that count epochs or batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker


class OncePerEpoch(Callback):
    """On an epoch stage, run at most once per epoch, even if the stage is signalled twice.

    This happens when a user calls ``validate`` during or after a fit. Subclasses override `update`
    instead of ``run_callback``, and extend `reset`.
    """

    last_epoch: int = 0

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Call `update`, unless it has been called for this epoch."""
        if "epoch" in self.on:
            if trainer.current_epoch <= self.last_epoch:
                return
            self.last_epoch = trainer.current_epoch
        self.update(trainer, config)

    def update(self, trainer: TrainerContext, config: TrainConfig) -> None:
        """Do the work; subclasses override this."""
        raise NotImplementedError

    def reset(self) -> None:
        """Discard the state of earlier runs."""
        self.last_epoch = 0

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Reset the state, unless the run is resumed."""
        if not resumed:
            self.reset()

    def end_run(self, trainer: TrainerContext) -> None:
        """Ignore validations after the fit."""
        self.last_epoch = max(self.last_epoch, trainer.current_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the last epoch that was handled."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the last epoch that was handled."""
        self.last_epoch = state["last_epoch"]
