"""Write a checkpoint every so many epochs, and let the oldest go."""

from __future__ import annotations

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.checkpoints.file import write_file
from perceptrain_core.checkpoints.folder import checkpoint_path, rotate
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage


class SaveCheckpoint(Callback):
    """Write ``checkpoint_epoch_NNNNNN.pt`` to the folder of the run.

    The ``config.keep_checkpoints`` newest stay.

    Takes the arguments of `Callback`; by default it runs at the end of every epoch.
    """

    # A run resumes at the end of an epoch.
    stages = frozenset(stage for stage in TrainingStage if "batch" not in stage)

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Write, then rotate.

        Raises:
            CheckpointError: It cannot be written; earlier ones are as they were.
        """
        path = checkpoint_path(trainer.log_folder, trainer.current_epoch)
        write_file(path, trainer.state_dict())
        rotate(trainer.log_folder, config.keep_checkpoints)
