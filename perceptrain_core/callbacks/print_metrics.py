"""The ``print_metrics`` callback: print the metrics of an epoch."""

from __future__ import annotations

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker


class PrintMetrics(Callback):
    """Print one line with the epoch and its metrics, unless ``config.verbose`` is false.

    Accepts the arguments of `Callback`; by default it runs at the end of every epoch.
    """

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Print ``trainer.opt_result`` through the tracker."""
        if config.verbose:
            writer.print_metrics(trainer.opt_result)
