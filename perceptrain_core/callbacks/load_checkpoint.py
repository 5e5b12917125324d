"""Start from the weights of a checkpoint."""

from __future__ import annotations

import warnings
from pathlib import Path

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.support.context import TrainerContext
from perceptrain_core.checkpoints.folder import list_checkpoints, newest_run_folder
from perceptrain_core.checkpoints.saveload import load_checkpoint
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage


class LoadCheckpoint(Callback):
    """Load the model and the optimizer from a checkpoint when the training starts.

    The run is a new one all the same: it trains ``config.max_iter`` epochs, with a history of its
    own. To go on with a run as if it had never stopped, use ``fit(resume=True)``; a run that is
    resumed has its weights, and this callback leaves them alone.

    Args:
        on: ``"train_start"``.
        called_every: Has no meaning here; it is taken because every callback takes it.
        path: A checkpoint, or a folder: then its newest one that can be read. By default the newest
            one of the log folder of the settings, if there is any.

    Attributes:
        path: As given.

    Raises:
        CallbackError: An argument that cannot be.
    """

    stages = frozenset({TrainingStage.TRAIN_START})

    def __init__(
        self,
        on: TrainingStage | str = TrainingStage.TRAIN_START,
        called_every: int = 1,
        path: Path | str | None = None,
    ) -> None:
        super().__init__(on, called_every)
        if path is not None and not isinstance(path, Path | str):
            raise CallbackError(f"path must name a checkpoint or a folder, not {path!r}.")
        self.path = path

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Load it, unless the run is resumed.

        Raises:
            CheckpointError: There is none at ``path``, it cannot be read, or it does not fit.

        Warns:
            UserWarning: No ``path`` was given, and the log folder has no checkpoint.
        """
        if trainer.current_epoch or trainer.global_step:
            return
        # The settings of the trainer: those given here name the folder of this very run.
        source = newest_run_folder(trainer.config) if self.path is None else Path(self.path)
        if self.path is None and not list_checkpoints(source):
            warnings.warn(f"Nothing to load: no checkpoint in {source}. Starting.", stacklevel=2)
            return
        load_checkpoint(source, trainer.model, trainer.optimizer)
