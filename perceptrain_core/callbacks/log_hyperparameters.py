"""The ``log_hyperparameters`` callback: log hyperparameters to the tracker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage


class LogHyperparameters(Callback):
    """Log hyperparameters to the tracker when training starts.

    The trainer always logs ``config.hyperparams``. Use this callback to log others.

    Args:
        called_every: The number of epochs between two calls; ignored at the start and the end of
            training.
        hyperparams: What to log; by default ``config.hyperparams``.
        on: ``"train_start"``, or any other stage except the batch stages.

    Raises:
        CallbackError: An argument is not valid.
    """

    stages = frozenset(stage for stage in TrainingStage if "batch" not in stage)

    def __init__(
        self,
        called_every: int = 1,
        hyperparams: Mapping[str, Any] | None = None,
        on: TrainingStage | str = TrainingStage.TRAIN_START,
    ) -> None:
        super().__init__(on, called_every)
        if hyperparams is not None and not isinstance(hyperparams, Mapping):
            raise CallbackError(
                f"hyperparams must be a mapping of names to values, not {hyperparams!r}."
            )
        self.hyperparams = hyperparams

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Log the hyperparameters, if there are any."""
        hyperparams = config.hyperparams if self.hyperparams is None else self.hyperparams
        if hyperparams:
            writer.log_hyperparams(hyperparams)
