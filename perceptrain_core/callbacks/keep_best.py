"""The ``keep_best`` callback: end the fit with the weights of its best epoch."""

from __future__ import annotations

import sys

from perceptrain_core.callbacks.early_stopping import EarlyStopping
from perceptrain_core.types import TrainingStage


class KeepBest(EarlyStopping):
    """At the end of the fit, restore the weights of the epoch in which a metric was best.

    The run is never stopped early; otherwise as `EarlyStopping` with ``restore_best=True``: the
    weights are kept in memory and saved in checkpoints, and epochs without the metric are skipped.
    A metric of the training is a mean over the steps of an epoch, each before its update: in an
    epoch of a single step along gradients, the weights are those from before it.

    Args:
        monitor: The metric, by its name in the history: ``"train_loss"``, ``"val_loss"``, or one
            that a callback before this adds.
        mode: ``"min"`` if lower is better, ``"max"`` if higher is.
        called_every: The number of epochs between two checks.
        on: ``"train_epoch_end"`` or ``"val_epoch_end"``.

    Attributes:
        best_value: The best value so far.
        best_epoch: Its epoch; 0 before the first value.

    Raises:
        CallbackError: An argument is not valid, or, during the fit, the run does not have the
            metric.
    """

    def __init__(
        self,
        monitor: str = "train_loss",
        mode: str = "min",
        called_every: int = 1,
        on: TrainingStage | str = TrainingStage.TRAIN_EPOCH_END,
    ) -> None:
        super().__init__(on, called_every, monitor, sys.maxsize, mode, restore_best=True)
