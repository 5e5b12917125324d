"""The ``save_best_checkpoint`` callback: save the run whenever a metric improves."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isinf
from typing import Any

from perceptrain_core.callbacks.base import Callback, Condition
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.callbacks.save_checkpoint import require_finite
from perceptrain_core.callbacks.support.monitored_metric import (
    check_mode,
    check_monitor,
    read_metric,
)
from perceptrain_core.checkpoints.folder import BEST
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage
from perceptrain_core.user_warnings import warn_user


class SaveBestCheckpoint(Callback):
    """Write ``checkpoint_best.pt`` whenever a metric of the validation is the best so far.

    A sharded checkpoint is a folder ``checkpoint_best.dcp`` (see ``config.checkpoint_format``).

    A value is the best if ``config.validation_criterion(value, best_value, val_epsilon)`` returns
    true; by default, if it is better by more than ``config.val_epsilon``.

    Args:
        on: ``"val_epoch_end"``, after each validation; ``"train_epoch_end"`` or ``"train_end"``.
        called_every: The number of epochs between two checks, or of validations if those are after
            steps; epochs without the metric are skipped.
        callback_condition: ``f(opt_result) -> bool``; check only if it returns true.
        monitor: The metric, by its name in the history: ``"val_loss"``, ``"val_NAME"``, ...
        mode: ``"min"`` if lower is better, ``"max"`` if higher is.

    Attributes:
        best_loss: The best value of the metric so far, infinite before the first.

    Raises:
        CallbackError: An argument is not valid, or, during the fit, the run does not have the
            metric.
    """

    stages = frozenset(
        {TrainingStage.VAL_EPOCH_END, TrainingStage.TRAIN_EPOCH_END, TrainingStage.TRAIN_END}
    )
    saves_run = True
    uses_model = False

    def __init__(
        self,
        on: TrainingStage | str = TrainingStage.VAL_EPOCH_END,
        called_every: int = 1,
        callback_condition: Condition | None = None,
        monitor: str = "val_loss",
        mode: str = "min",
    ) -> None:
        super().__init__(on, called_every, callback_condition=callback_condition)
        check_monitor(monitor, mode)
        self.monitor, self.mode = monitor, mode
        self._reset()

    def _reset(self) -> None:
        self.best_loss = inf if self.mode == "min" else -inf
        self._seen = False

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start over, unless the run is resumed.

        Raises:
            CallbackError: ``mode`` contradicts the metric.
        """
        check_mode(type(self).__name__, self.monitor, self.mode, trainer.metrics)
        if not resumed:
            self._reset()

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Write a checkpoint if the metric is the best so far.

        Raises:
            CallbackError: The run does not have the metric.
            CheckpointError: The file cannot be written; the previous checkpoint is kept.
            NonFiniteLossError: A parameter is NaN or infinite; the previous checkpoint is kept.
        """
        owner, on = type(self).__name__, TrainingStage.TRAIN_EPOCH_END
        value = read_metric(owner, self.monitor, on, trainer, config, self._seen)
        if value is None:
            return
        self._seen = True
        criterion = config.validation_criterion or self._is_better
        if criterion(value, self.best_loss, config.val_epsilon):
            require_finite(trainer)
            self.best_loss = value
            # Both are collective: all processes call them.
            trainer.checkpoint_writer.write(trainer.log_folder / BEST, trainer.state_dict())

    def end_run(self, trainer: TrainerContext) -> None:
        """Warn if nothing was saved.

        Warns:
            UserWarning: No value of the metric was finite.
        """
        if self._seen and isinf(self.best_loss):
            warn_user(
                f"{type(self).__name__} has saved nothing: no value of {self.monitor!r} was "
                "finite. Check the data, or lower the learning rate."
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, and the metric that it is of."""
        return {"best_loss": self.best_loss, "monitor": self.monitor}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the best value, unless it is of another metric."""
        self._reset()
        if state.get("monitor", "val_loss") == self.monitor:
            self.best_loss = float(state["best_loss"])

    def _is_better(self, value: float, best: float, margin: float) -> bool:
        return value < best - margin if self.mode == "min" else value > best + margin
