"""Write a checkpoint every so many epochs, and let the oldest go."""

from __future__ import annotations

from pathlib import Path

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.support.context import TrainerContext
from perceptrain_core.checkpoints.file import write_file
from perceptrain_core.checkpoints.folder import checkpoint_path, rotate
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import NonFiniteLossError
from perceptrain_core.models.parameters import nonfinite_parameter
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage


class SaveCheckpoint(Callback):
    """Write a checkpoint to the folder of the run, from which it can be resumed.

    Its name is ``checkpoint_epoch_NNNNNN.pt``, with the epochs that are complete; inside an epoch,
    on the stage ``train_batch_end``, ``checkpoint_epoch_NNNNNN_batch_NNNNNNNNN.pt``, with the
    batches taken since. The ``config.keep_checkpoints`` newest stay.

    Takes the arguments of `Callback`; by default it runs at the end of every epoch.
    """

    stages = frozenset(
        {TrainingStage.TRAIN_BATCH_END, TrainingStage.TRAIN_EPOCH_END, TrainingStage.TRAIN_END}
    )
    saves_run = True

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Save the run.

        Raises:
            CheckpointError: It cannot be written; earlier ones are as they were.
            NonFiniteLossError: The parameters hold a NaN; earlier checkpoints are as they were.
        """
        save_run(trainer)


def save_run(trainer: TrainerContext) -> Path:
    """Write a checkpoint of a run as it stands, and let the oldest go.

    Raises:
        CheckpointError: It cannot be written; earlier ones are as they were.
        NonFiniteLossError: The parameters hold a NaN; earlier checkpoints are as they were.
    """
    require_finite(trainer)
    state = trainer.state_dict()  # each process has a part in it, and the first writes it
    path = checkpoint_path(trainer.log_folder, state["epoch"], state["batch"])
    if trainer.opt_result.rank == 0:
        write_file(path, state)
        rotate(path, trainer.config.keep_checkpoints)
    return path


def require_finite(trainer: TrainerContext) -> None:
    """Refuse to keep a model that is lost, unless the settings ignore such things.

    Raises:
        NonFiniteLossError: A parameter is NaN or infinite.
    """
    if trainer.config.on_nonfinite == "ignore":
        return
    lost = nonfinite_parameter(trainer.model)
    if lost is not None:
        raise NonFiniteLossError(
            f"The parameter {lost!r} is not finite in epoch {trainer.current_epoch}, "
            "although the loss was: its gradient was not, as that of a root or a norm at 0. No "
            "checkpoint was written; earlier ones are good."
        )
