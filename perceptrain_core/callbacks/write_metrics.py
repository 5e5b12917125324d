"""The ``write_metrics`` callback: write the metrics of an epoch to the tracker."""

from __future__ import annotations

from collections.abc import Mapping

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.callbacks.support.metric_pictures import metric_pictures
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker, named_values


class WriteMetrics(Callback):
    """Write the epoch's metrics, ``train_NAME`` and ``val_NAME``, to the tracker.

    Metrics that are not numbers, such as a confusion matrix, are drawn after each validation, if
    matplotlib is installed.

    Accepts the arguments of `Callback`; by default it runs at the end of every epoch.
    """

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Write ``trainer.opt_result.metrics``, and draw metrics such as a confusion matrix."""
        result = trainer.opt_result
        validated = "val_loss" in result.metrics
        write_metrics(trainer, writer, "val" if validated else "", named_values(result))


def write_metrics(
    trainer: TrainerContext, writer: Tracker, prefix: str, values: Mapping[str, float]
) -> None:
    """Write the values of an epoch, and draw the metrics that are pictures.

    Args:
        trainer: Its metrics and ``opt_result.extra`` hold what is drawn.
        writer: The tracker.
        prefix: ``"val"`` or ``"test"``: what was just evaluated, if anything.
        values: The values by name.
    """
    result = trainer.opt_result
    writer.write(result.iteration, values)
    if prefix and (pictures := metric_pictures(trainer.metrics, result.extra, prefix)):
        writer.plot(trainer.model, result.iteration, pictures)
