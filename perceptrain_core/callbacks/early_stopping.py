"""Stop when a metric has stopped getting better."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from torch import nn

from perceptrain_core.callbacks.support.arguments import check_count, check_number
from perceptrain_core.callbacks.support.context import TrainerContext
from perceptrain_core.callbacks.support.metric_monitor import MetricMonitor
from perceptrain_core.callbacks.support.once_per_epoch import OncePerEpoch
from perceptrain_core.config import TrainConfig
from perceptrain_core.types import TrainingStage

Weights = dict[str, dict[str, Any]]


class EarlyStopping(OncePerEpoch):
    """Stop the training when a metric has not become better for some time.

    It looks at the metric at the end of every ``called_every``-th epoch; epochs that do not have
    it, such as those without a validation, are passed over and do not count.

    Args:
        on: ``"train_epoch_end"`` or ``"val_epoch_end"``.
        called_every: Look at every so many epochs.
        monitor: The metric, by its name in the history: ``"train_loss"``, ``"val_loss"``,
            ``"val_NAME"``, ...
        patience: Stop after so many values in a row that are no better than the best.
        mode: ``"min"`` if lower is better, ``"max"`` if higher is.
        delta: A value is better only if it is so by more than this.
        restore_best: Put the weights of the best value back at the end of the fit, whether it was
            stopped or not. They are held in memory, and in checkpoints.

    Attributes:
        best_value: The best value so far.
        best_epoch: Its epoch; 0 before the first value.
        counter: How many values have come since.
        stopped_epoch: The epoch after which the training was stopped, or ``None``.

    Raises:
        CallbackError: An argument that cannot be; during the fit, a metric that the run does not
            have.
    """

    stages = frozenset({TrainingStage.TRAIN_EPOCH_END, TrainingStage.VAL_EPOCH_END})

    def __init__(
        self,
        on: TrainingStage | str = TrainingStage.TRAIN_EPOCH_END,
        called_every: int = 1,
        monitor: str = "train_loss",
        patience: int = 5,
        mode: str = "min",
        delta: float = 0.0,
        restore_best: bool = False,
    ) -> None:
        super().__init__(on, called_every)
        self.monitor = monitor
        self.patience = check_count("patience", patience, 1)
        self.mode = mode
        self.delta = check_number("delta", delta)
        self.restore_best = restore_best
        self.best_epoch = 0
        self.stopped_epoch: int | None = None
        self._metric = MetricMonitor(type(self).__name__, monitor, mode, self.delta)
        self._best_weights: Weights | None = None

    @property
    def best_value(self) -> float:
        """The best value so far; infinite before the first."""
        return self._metric.best

    @property
    def counter(self) -> int:
        """How many values have come since the best one."""
        return self._metric.since

    def update(self, trainer: TrainerContext, config: TrainConfig) -> None:
        """Look at the metric, and stop if it is time.

        Raises:
            CallbackError: The run does not have the metric.
        """
        value = self._metric.read(trainer.opt_result, self.on, config)
        if value is None:
            return
        if self._metric.is_improved_by(value):
            self.best_epoch = trainer.current_epoch
            if self.restore_best:
                self._best_weights = {n: deepcopy(m.state_dict()) for n, m in _modules(trainer)}
        elif self.counter >= self.patience:
            self.stopped_epoch = trainer.current_epoch
            self._stop(trainer)

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Forget another run; stop at once where the run that is resumed had been stopped."""
        super().begin_run(trainer, resumed)
        if not resumed:
            self._metric.reset()
            self.best_epoch, self._best_weights = 0, None
        if not resumed or self.counter < self.patience:  # a greater patience than before goes on
            self.stopped_epoch = None
        elif self.stopped_epoch is not None:
            self._stop(trainer)

    def end_run(self, trainer: TrainerContext) -> None:
        """Put the best weights back, if that is wished.

        Warns:
            UserWarning: The metric never came.
        """
        if trainer.current_epoch:
            self._metric.warn_if_unseen(trainer.current_epoch)
        super().end_run(trainer)
        if self._best_weights is not None:
            for name, module in _modules(trainer):
                module.load_state_dict(self._best_weights[name])
            if trainer.config.verbose:
                print(f"The model has the weights of epoch {self.best_epoch} again.")

    def state_dict(self) -> dict[str, Any]:
        """The best value, its epoch and weights, and how long ago it was."""
        return {
            **super().state_dict(),
            "metric": self._metric.state_dict(),
            "best_epoch": self.best_epoch,
            "stopped_epoch": self.stopped_epoch,
            "best_weights": self._best_weights,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on comparing with the best value of the run so far."""
        super().load_state_dict(state)
        self._metric.load_state_dict(state["metric"])
        self.best_epoch = state["best_epoch"]
        self.stopped_epoch = state["stopped_epoch"]
        self._best_weights = state["best_weights"] if self.restore_best else None

    def _stop(self, trainer: TrainerContext) -> None:
        trainer.stop_training = True
        if trainer.config.verbose:
            print(
                f"Stopped after epoch {self.stopped_epoch}: {self.monitor} was best in epoch "
                f"{self.best_epoch}, {self.best_value:.6g}."
            )


def _modules(trainer: TrainerContext) -> list[tuple[str, nn.Module]]:
    """Give what is trained: the model, its moving average, and a loss with parameters."""
    parts = {
        "model": trainer.model,
        "loss": trainer.loss_fn,
        "averaged_model": trainer.averaged_model,
    }
    return [(name, part) for name, part in parts.items() if isinstance(part, nn.Module)]
