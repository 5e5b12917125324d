"""The ``save_best_checkpoint`` callback: save the run whenever validation improves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceptrain_core.callbacks.base import Callback, Condition
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.callbacks.save_checkpoint import require_finite
from perceptrain_core.checkpoints.file import write_file
from perceptrain_core.checkpoints.folder import BEST
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage


class SaveBestCheckpoint(Callback):
    """Write ``checkpoint_best.pt`` whenever a validation is the best so far.

    A validation is the best if ``config.validation_criterion(val_loss, best_loss, val_epsilon)``
    returns true; by default, if ``val_loss`` is lower by more than ``config.val_epsilon``.

    Args:
        on: ``"val_epoch_end"``, after each validation; ``"train_epoch_end"`` or ``"train_end"``.
        called_every: The number of epochs between two checks, or of validations if those are after
            steps; epochs without a validation are skipped.
        callback_condition: ``f(opt_result) -> bool``; check only if it returns true.

    Attributes:
        best_loss: The lowest validation loss so far, infinite before the first.

    Raises:
        CallbackError: An argument is not valid.
    """

    stages = frozenset(
        {TrainingStage.VAL_EPOCH_END, TrainingStage.TRAIN_EPOCH_END, TrainingStage.TRAIN_END}
    )
    saves_run = True

    def __init__(
        self,
        on: TrainingStage | str = TrainingStage.VAL_EPOCH_END,
        called_every: int = 1,
        callback_condition: Condition | None = None,
    ) -> None:
        super().__init__(on, called_every, callback_condition=callback_condition)
        self.best_loss = float("inf")

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start over, unless the run is resumed."""
        if not resumed:
            self.best_loss = float("inf")

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Write a checkpoint if the validation is the best so far.

        Raises:
            CheckpointError: The file cannot be written; the previous checkpoint is kept.
            NonFiniteLossError: A parameter is NaN or infinite; the previous checkpoint is kept.
        """
        val_loss = trainer.opt_result.metrics.get("val_loss")
        if val_loss is None:
            return
        criterion = config.validation_criterion or _lower
        if criterion(float(val_loss), self.best_loss, config.val_epsilon):
            require_finite(trainer)
            self.best_loss = float(val_loss)
            state = trainer.state_dict()  # collective: all processes call it, only the first writes
            if trainer.opt_result.rank == 0:
                write_file(trainer.log_folder / BEST, state)

    def state_dict(self) -> dict[str, Any]:
        """Return the best loss."""
        return {"best_loss": self.best_loss}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the best loss."""
        self.best_loss = float(state["best_loss"])


def _lower(val_loss: float, best_loss: float, val_epsilon: float) -> bool:
    return val_loss < best_loss - val_epsilon
