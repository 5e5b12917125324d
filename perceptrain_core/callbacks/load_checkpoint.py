"""The ``load_checkpoint`` callback: start from the weights of a checkpoint."""

from __future__ import annotations

from pathlib import Path

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.checkpoints.folder import newest_run_folder
from perceptrain_core.checkpoints.saveload import load_checkpoint, load_found
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.optimizer_modes import begin_training
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage


class LoadCheckpoint(Callback):
    """Load the model and the optimizer from a checkpoint when training starts.

    The weights are the averaged ones, if the checkpoint has them, as for `load_checkpoint`.

    The run is still a new run: it trains ``config.max_iter`` epochs and has its own history. To
    continue an interrupted run exactly, use ``fit(resume=True)`` instead; in a resumed run this
    callback does nothing.

    Args:
        on: ``"train_start"``.
        called_every: Ignored; accepted because every callback has it.
        path: A checkpoint, or a folder, whose newest readable checkpoint is loaded. By default the
            newest checkpoint in ``config.log_folder``, if there is one.

    Raises:
        CallbackError: An argument is not valid.
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
        """Load the checkpoint, unless the run is resumed.

        Raises:
            CheckpointError: There is no checkpoint at ``path``, or it cannot be read or loaded.

        Warns:
            UserWarning: ``path`` is ``None``, and the log folder has no checkpoint.
        """
        if trainer.current_epoch or trainer.global_step:
            return
        if self.path is None:
            # Not from `config`, whose log_folder is the new folder of this run.
            source = newest_run_folder(trainer.config)
            load_checkpoint(source, trainer.model, trainer.optimizer)
        else:
            load_found(self.path, trainer.model, trainer.optimizer)
        begin_training(trainer.optimizer)
        if trainer.averaged_model is not None:
            trainer.averaged_model.module.load_state_dict(trainer.model.state_dict())
