"""The ``print_metrics`` callback: print the metrics of an epoch."""

from __future__ import annotations

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage


class PrintMetrics(Callback):
    """Print one line with the epoch and its metrics, unless ``config.verbose`` is false.

    Accepts the arguments of `Callback`; by default it runs at the end of every epoch. Whatever
    ``called_every`` is, the last epoch is printed, too, if the run ends by ``max_iter``,
    ``max_steps`` or a callback before this one, such as `EarlyStopping`.
    """

    def is_due(self, count: int, trainer: TrainerContext) -> bool:
        """Whether to print this epoch."""
        return super().is_due(count, trainer) or self._is_last(trainer)

    def _is_last(self, trainer: TrainerContext) -> bool:
        if self.on is not TrainingStage.TRAIN_EPOCH_END:
            return False
        config = trainer.config
        steps_end = config.max_steps is not None and trainer.global_step >= config.max_steps
        return trainer.stop_training or steps_end or trainer.current_epoch == config.max_iter

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Print ``trainer.opt_result`` through the tracker."""
        if config.verbose:
            writer.print_metrics(trainer.opt_result)
