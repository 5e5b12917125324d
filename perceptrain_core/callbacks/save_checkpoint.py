"""The ``save_checkpoint`` callback: save the run, and delete the oldest checkpoints."""

from __future__ import annotations

from pathlib import Path

from perceptrain_core.callbacks.base import Callback, CallbackFunction, Condition, Modifier
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.checkpoints.folder import checkpoint_path
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import NonFiniteLossError
from perceptrain_core.models.parameters import nonfinite_parameter
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage


class SaveCheckpoint(Callback):
    """Write a checkpoint to the folder of the run, from which it can be resumed.

    The file is ``checkpoint_epoch_NNNNNN.pt``, with the number of completed epochs. Within an epoch
    (stage ``train_batch_end``) it is ``checkpoint_epoch_NNNNNN_batch_NNNNNNNNN.pt``, with the
    number of batches since then. A sharded checkpoint is a folder that ends in ``.dcp`` (see
    ``config.checkpoint_format``). The newest ``config.keep_checkpoints`` are kept.

    Accepts the arguments of `Callback`; by default it runs at the end of every epoch. With
    ``"val_epoch_end"`` it runs at the end of every epoch with a validation, since a run is resumed
    from the end of an epoch.
    """

    stages = frozenset(
        {TrainingStage.TRAIN_BATCH_END, TrainingStage.TRAIN_EPOCH_END, TrainingStage.TRAIN_END}
    )
    saves_run = True
    uses_model = False

    def __init__(
        self,
        on: TrainingStage | str = TrainingStage.TRAIN_EPOCH_END,
        called_every: int = 1,
        callback: CallbackFunction | None = None,
        callback_condition: Condition | None = None,
        modify_optimize_result: Modifier | None = None,
    ) -> None:
        self._after_validation = on == TrainingStage.VAL_EPOCH_END
        on = TrainingStage.TRAIN_EPOCH_END if self._after_validation else on
        super().__init__(on, called_every, callback, callback_condition, modify_optimize_result)

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Save the run.

        Raises:
            CheckpointError: The file cannot be written; earlier checkpoints are kept.
            NonFiniteLossError: A parameter is NaN or infinite; earlier checkpoints are kept.
        """
        if not self._after_validation or "val_loss" in trainer.opt_result.metrics:
            save_run(trainer)


def save_run(trainer: TrainerContext) -> Path:
    """Write a checkpoint of the current state, delete the oldest ones, and return the path.

    With ``config.async_checkpoints``, only the copy of the state is made now.

    Raises:
        CheckpointError: It, or the one before it, cannot be written; earlier ones are kept.
        NonFiniteLossError: A parameter is NaN or infinite; earlier checkpoints are kept.
    """
    require_finite(trainer)
    state = trainer.state_dict()  # collective, as is writing it
    path = checkpoint_path(trainer.log_folder, state["epoch"], state["batch"])
    return trainer.checkpoint_writer.write(path, state, trainer.config.keep_checkpoints)


def require_finite(trainer: TrainerContext) -> None:
    """Refuse a model with nonfinite parameters, unless ``on_nonfinite="ignore"``.

    Raises:
        NonFiniteLossError: A parameter is NaN or infinite.
    """
    if trainer.config.on_nonfinite == "ignore":
        return
    sharded = trainer.engine.sharded
    find = nonfinite_parameter if sharded is None else sharded.nonfinite_parameter
    name = find(trainer.model)
    if name is not None:
        raise NonFiniteLossError(
            f"The parameter {name!r} is not finite in epoch {trainer.current_epoch}, although the "
            "loss is: its gradient was NaN or infinite, as happens with a root or a norm at 0. No "
            "checkpoint of it was written; earlier ones are intact. Add a small "
            "number under the root."
        )
