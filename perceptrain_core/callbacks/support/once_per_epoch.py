"""Callbacks whose state counts epochs or batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.support.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker


class OncePerEpoch(Callback):
    """On an epoch stage, run once for an epoch, whatever tells of it twice.

    An epoch is told of twice when somebody calls ``validate`` by hand, or when a run goes on from
    the middle of one. Subclasses override `update` in place of ``run_callback``.
    """

    last_epoch: int = 0

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Run `update`, unless this epoch has had its turn."""
        if "epoch" in self.on:
            if trainer.current_epoch <= self.last_epoch:
                return
            self.last_epoch = trainer.current_epoch
        self.update(trainer, config)

    def update(self, trainer: TrainerContext, config: TrainConfig) -> None:
        """Do the work."""
        raise NotImplementedError

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start counting again, unless the run is resumed."""
        if not resumed:
            self.last_epoch = 0

    def end_run(self, trainer: TrainerContext) -> None:
        """Let no validation after the fit count."""
        self.last_epoch = max(self.last_epoch, trainer.current_epoch)

    def state_dict(self) -> dict[str, Any]:
        """The last epoch that had its turn."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after that epoch."""
        self.last_epoch = state["last_epoch"]
