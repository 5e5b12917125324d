"""The ``write_metrics`` callback: write the metrics of an epoch to the tracker."""

from __future__ import annotations

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker, named_values


class WriteMetrics(Callback):
    """Write the epoch's metrics, ``train_NAME`` and ``val_NAME``, to the tracker.

    Accepts the arguments of `Callback`; by default it runs at the end of every epoch.
    """

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Write ``trainer.opt_result.metrics``."""
        result = trainer.opt_result
        writer.write(result.iteration, named_values(result))
