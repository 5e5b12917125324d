"""The ``lr_scheduler_reduce_on_plateau`` callback: reduce the rate when a metric stagnates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.callbacks.support.learning_rate_callback import LearningRateCallback
from perceptrain_core.callbacks.support.metric_monitor import MetricMonitor
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.schedules.rules import reduced
from perceptrain_core.types import TrainingStage


class LRSchedulerReduceOnPlateau(LearningRateCallback):
    """Multiply the learning rate by ``gamma`` when a metric has stopped improving.

    It counts as ``torch.optim.lr_scheduler.ReduceLROnPlateau`` does: it tolerates ``patience``
    values without an improvement; the next one reduces the rate and resets the count. Epochs
    without the metric, such as those without a validation, are skipped.

    Args:
        on: ``"train_epoch_end"``, ``"val_epoch_end"``, or ``"train_batch_end"`` to monitor the
            metrics of each batch.
        called_every: The number of epochs (batches on a batch stage) between two calls.
        monitor: The metric, by its name in the history: ``"train_loss"``, ``"val_loss"``, ...
        patience: The number of values without an improvement to tolerate.
        mode: ``"min"`` if lower is better, ``"max"`` if higher is.
        gamma: The factor, below 1.
        threshold: An improvement must exceed this fraction of the best value.
        min_lr: The lowest rate; a rate that is already below it is kept.
        verbose: Print a line at each reduction, unless ``config.verbose`` is false.

    Attributes:
        best_value: The best value so far.
        counter: The number of values since the best one or the last reduction.
        calls: How often the rate has been reduced.

    Raises:
        CallbackError: An argument is not valid, or, during the fit, the run does not have the
            metric.
    """

    stages = frozenset(
        {
            TrainingStage.TRAIN_EPOCH_END,
            TrainingStage.VAL_EPOCH_END,
            TrainingStage.TRAIN_BATCH_END,
        }
    )

    def __init__(
        self,
        on: TrainingStage | str = TrainingStage.TRAIN_EPOCH_END,
        called_every: int = 1,
        monitor: str = "train_loss",
        patience: int = 20,
        mode: str = "min",
        gamma: float = 0.5,
        threshold: float = 1e-4,
        min_lr: float = 1e-6,
        verbose: bool = True,
    ) -> None:
        super().__init__(on, called_every)
        faults = number_faults({"patience": patience}, whole=True, at_least=0)
        faults += number_faults({"gamma": gamma}, above=0, below=1)
        faults += number_faults({"threshold": threshold, "min_lr": min_lr}, at_least=0)
        refuse(type(self).__name__, faults, CallbackError)
        self.monitor = monitor
        self.patience = int(patience)
        self.mode = mode
        self.gamma = float(gamma)
        self.threshold = float(threshold)
        self.min_lr = float(min_lr)
        self.verbose = verbose
        self._metric = MetricMonitor(type(self).__name__, monitor, mode, self.threshold, True)

    @property
    def best_value(self) -> float:
        """The best value so far; infinite before the first."""
        return self._metric.best

    @property
    def counter(self) -> int:
        """The number of values since the best one or the last reduction."""
        return self._metric.since

    def rate(self, current: float, initial: float) -> float:
        """Return the reduced rate."""
        return reduced(current, self.gamma, self.min_lr)

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start over, unless the run is resumed.

        Raises:
            CallbackError: ``mode`` contradicts the metric.
        """
        self._metric.check_mode(trainer.metrics)
        super().begin_run(trainer, resumed)

    def update(self, trainer: TrainerContext, config: TrainConfig) -> None:
        """Check the metric, and reduce the rate if it has stopped improving.

        Raises:
            CallbackError: The run does not have the metric.
        """
        value = self._metric.read(trainer.opt_result, self.on, config)
        if value is None or self._metric.is_improved_by(value) or self.counter <= self.patience:
            return
        self._metric.since = 0
        before = self.rates(trainer)
        super().update(trainer, config)
        after = self.rates(trainer)
        if self.verbose and config.verbose and after != before:
            changes = ", ".join(f"{a:.6g} -> {b:.6g}" for a, b in zip(before, after, strict=True))
            print(
                f"Epoch {trainer.current_epoch}: {self.monitor} is no better than "
                f"{self.best_value:.6g}; learning rate {changes}."
            )

    def reset(self) -> None:
        """Start over: forget all values of the metric."""
        super().reset()
        self._metric.reset()

    def end_run(self, trainer: TrainerContext) -> None:
        """Warn if the metric was never available."""
        self._metric.warn_if_unseen(trainer.current_epoch)
        super().end_run(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of calls and the best value of the metric."""
        return super().state_dict() | {"metric": self._metric.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self._metric.load_state_dict(state["metric"])
