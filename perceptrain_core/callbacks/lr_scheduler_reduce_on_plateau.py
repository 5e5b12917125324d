"""The learning rate falls by a factor when a metric has stopped getting better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceptrain_core.callbacks.support.arguments import check_count, check_number
from perceptrain_core.callbacks.support.context import TrainerContext
from perceptrain_core.callbacks.support.learning_rate_schedule import LearningRateSchedule
from perceptrain_core.callbacks.support.metric_monitor import MetricMonitor
from perceptrain_core.config import TrainConfig
from perceptrain_core.types import TrainingStage


class LRSchedulerReduceOnPlateau(LearningRateSchedule):
    """Multiply the learning rate by ``gamma`` when a metric has not become better for long.

    It counts as ``torch.optim.lr_scheduler.ReduceLROnPlateau`` does: ``patience`` values that are
    no better are borne, and the next one reduces the rate and starts the count again. Epochs that
    do not have the metric, such as those without a validation, are passed over.

    Args:
        on: ``"train_epoch_end"``, ``"val_epoch_end"``, or ``"train_batch_end"`` to look at the
            metrics of each batch.
        called_every: Look at every so many epochs, or batches on a batch stage.
        monitor: The metric, by its name in the history: ``"train_loss"``, ``"val_loss"``, ...
        patience: So many values in a row may be no better than the best.
        mode: ``"min"`` if lower is better, ``"max"`` if higher is.
        gamma: The factor, below 1.
        threshold: A value is better only if it is so by more than this share of the best.
        min_lr: No rate is reduced below this.
        verbose: Print a line at each reduction, unless ``config.verbose`` is false.

    Attributes:
        best_value: The best value so far.
        counter: How many values have come since it, or since the rate was last reduced.
        calls: How many times the rate has been reduced.

    Raises:
        CallbackError: An argument that cannot be; during the fit, a metric that the run does not
            have.
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
        self.monitor = monitor
        self.patience = check_count("patience", patience, 0)
        self.mode = mode
        self.gamma = check_number("gamma", gamma, above=0, below=1)
        self.threshold = check_number("threshold", threshold)
        self.min_lr = check_number("min_lr", min_lr)
        self.verbose = verbose
        self._metric = MetricMonitor(type(self).__name__, monitor, mode, self.threshold, True)

    @property
    def best_value(self) -> float:
        """The best value so far; infinite before the first."""
        return self._metric.best

    @property
    def counter(self) -> int:
        """How many values have come since the best one or the last reduction."""
        return self._metric.since

    def rate(self, present: float, initial: float) -> float:
        """Give the reduced rate; one that is below ``min_lr`` stays."""
        return max(present * self.gamma, min(present, self.min_lr))

    def update(self, trainer: TrainerContext, config: TrainConfig) -> None:
        """Look at the metric, and reduce the rate if it is time.

        Raises:
            CallbackError: The run does not have the metric.
        """
        value = self._metric.read(trainer.opt_result, self.on, config)
        if value is None or self._metric.is_improved_by(value) or self.counter <= self.patience:
            return
        before = self.rates(trainer)
        self._metric.since = 0
        super().update(trainer, config)
        after = self.rates(trainer)
        if self.verbose and config.verbose and after != before:
            changes = ", ".join(f"{a:.6g} -> {b:.6g}" for a, b in zip(before, after, strict=True))
            print(
                f"Epoch {trainer.current_epoch}: {self.monitor} is no better than "
                f"{self.best_value:.6g}; learning rate {changes}."
            )

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start over, unless the run is resumed."""
        super().begin_run(trainer, resumed)
        if not resumed:
            self._metric.reset()

    def end_run(self, trainer: TrainerContext) -> None:
        """Say if the metric never came.

        Warns:
            UserWarning: It was waited for in vain.
        """
        if trainer.current_epoch:
            self._metric.warn_if_unseen(trainer.current_epoch)
        super().end_run(trainer)

    def state_dict(self) -> dict[str, Any]:
        """The reductions, the initial rates, and what has been seen of the metric."""
        return {**super().state_dict(), "metric": self._metric.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        super().load_state_dict(state)
        self._metric.load_state_dict(state["metric"])
