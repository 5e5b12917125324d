"""The model goes to the tracker."""

from __future__ import annotations

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.support.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage


class LogModelTracker(Callback):
    """Give the model to the tracker, with the data for those that want an example.

    ``TrainConfig(log_model=True)`` does this once, at the end; this is for other times.

    Args:
        on: ``"train_end"``, or any other stage that is not about a batch.
        called_every: Run at every so many epochs.

    Raises:
        CallbackError: An argument that cannot be.
    """

    stages = frozenset(stage for stage in TrainingStage if "batch" not in stage)

    def __init__(
        self, on: TrainingStage | str = TrainingStage.TRAIN_END, called_every: int = 1
    ) -> None:
        super().__init__(on, called_every)

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Log the model as it is now."""
        writer.log_model(
            trainer.model,
            trainer.train_dataloader,
            trainer.val_dataloader,
            trainer.test_dataloader,
        )
