"""The ``log_model_tracker`` callback: log the model to the tracker."""

from __future__ import annotations

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage


class LogModelTracker(Callback):
    """Log the model to the tracker, along with the data loaders.

    ``TrainConfig(log_model=True)`` does this once, at the end; use this for other times.

    Args:
        on: ``"train_end"``, or any other stage except the batch stages.
        called_every: The number of epochs between two calls.

    Raises:
        CallbackError: An argument is not valid.
    """

    stages = frozenset(stage for stage in TrainingStage if "batch" not in stage)

    def __init__(
        self, on: TrainingStage | str = TrainingStage.TRAIN_END, called_every: int = 1
    ) -> None:
        super().__init__(on, called_every)

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Log the current model."""
        writer.log_model(
            trainer.model,
            trainer.train_dataloader,
            trainer.val_dataloader,
            trainer.test_dataloader,
        )
