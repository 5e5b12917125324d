"""The ``early_stopping`` callback: stop when a metric has stopped improving."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.callbacks.support.metric_callback import MetricCallback
from perceptrain_core.checkpoints.state_tree import divided_as, gathered, replaced
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.optimizer_modes import evaluated_weights
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.types import TrainingStage

Weights = dict[str, dict[str, Any]]


class EarlyStopping(MetricCallback):
    """Stop training when a metric has not improved for ``patience`` checks.

    The metric is checked at the end of every ``called_every``-th epoch. Epochs without it, such as
    those without a validation, are skipped and do not count.

    Args:
        on: ``"train_epoch_end"`` or ``"val_epoch_end"``.
        called_every: The number of epochs between two checks.
        monitor: The metric, by its name in the history: ``"train_loss"``, ``"val_loss"``,
            ``"val_NAME"``, ...
        patience: The number of consecutive values without an improvement after which to stop.
        mode: ``"min"`` if lower is better, ``"max"`` if higher is.
        delta: An improvement must exceed this.
        restore_best: Restore the weights of the best epoch at the end of the fit, whether or not
            it was stopped early. They are kept in memory and saved in checkpoints. They are those
            after its last step; but if a metric of the training is monitored and the epoch has a
            single step along gradients, those before it, of which the metric is.

    Attributes:
        best_value: The best value so far.
        best_epoch: Its epoch; 0 before the first value.
        counter: The number of values since the best one.
        stopped_epoch: The epoch after which the callback stopped training, or ``None``.

    Raises:
        CallbackError: An argument is not valid, or, during the fit, the run does not have the
            metric.
    """

    stages = frozenset({TrainingStage.TRAIN_EPOCH_END, TrainingStage.VAL_EPOCH_END})
    uses_model = False  # of a sharded one, each process keeps its share of the weights
    stopped_epoch: int | None
    _best_weights: Weights | None
    _first_weights: Weights | None  # from before the first step of the epoch
    _first_step: int

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
        super().__init__(on, called_every, monitor, mode, delta)
        faults = number_faults({"patience": patience}, whole=True, at_least=1)
        faults += number_faults({"delta": delta}, at_least=0)
        refuse(type(self).__name__, faults, CallbackError)
        self.patience = int(patience)
        self.delta = float(delta)
        self.restore_best = restore_best

    def begin_epoch(self, trainer: TrainerContext) -> None:
        """Keep the weights, if the metric of this epoch may be theirs."""
        several = self._first_step >= 0 and trainer.global_step > self._first_step + 1
        self._first_step, self._first_weights = trainer.global_step, None
        trains = self.monitor.startswith("train_") and isinstance(trainer.optimizer, Optimizer)
        if self.restore_best and trains and not several:
            self._first_weights = _weights(trainer)

    def update(self, trainer: TrainerContext, config: TrainConfig) -> None:
        """Check the metric, and stop if it has not improved for long enough.

        Raises:
            CallbackError: The run does not have the metric.
        """
        value = self.read(trainer, config)
        first, self._first_weights = self._first_weights, None
        if value is None:
            return
        if self.is_improved_by(value):
            self.best_epoch = trainer.current_epoch
            if self.restore_best:
                single = trainer.global_step <= self._first_step + 1
                self._best_before_step = single and first is not None
                self._best_weights = first if self._best_before_step else _weights(trainer)
        elif self.counter >= self.patience:
            self.stopped_epoch = trainer.current_epoch
            trainer.stop_training = True

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start over; or stop at once if the resumed run had already been stopped."""
        super().begin_run(trainer, resumed)
        if self.counter < self.patience:  # patience may have been raised
            self.stopped_epoch = None
        if self.stopped_epoch is not None:
            trainer.stop_training = True

    def reset(self) -> None:
        """Forget all values of the metric and the best weights."""
        super().reset()
        self.best_epoch, self.stopped_epoch, self._best_weights = 0, None, None
        self._first_step, self._first_weights, self._best_before_step = -1, None, False

    def end_run(self, trainer: TrainerContext) -> None:
        """Say why the run was stopped, and restore the best weights if ``restore_best`` is set.

        Warns:
            UserWarning: The metric was never available.
        """
        super().end_run(trainer)
        if self.stopped_epoch is not None and trainer.config.verbose:
            print(
                f"Stopped after epoch {self.stopped_epoch}: {self.monitor} was best in epoch "
                f"{self.best_epoch}, {self.best_value:.6g}."
            )
        if self._best_weights is not None:
            for name, module in _modules(trainer):
                module.load_state_dict(divided_as(module.state_dict(), self._best_weights[name]))
            self._best_weights = gathered(self._best_weights, trainer.engine.rank)
            if trainer.config.verbose:
                where = " from before its step" if self._best_before_step else ""
                print(f"Restored the weights of epoch {self.best_epoch}{where}.")

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, its epoch and weights, and the values since."""
        return {
            **super().state_dict(),
            "best_epoch": self.best_epoch,
            "stopped_epoch": self.stopped_epoch,
            "best_weights": self._best_weights,
            "best_before_step": self._best_before_step,
            "first_step": self._first_step,
            "first_weights": self._first_weights,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self.best_epoch = state["best_epoch"]
        self.stopped_epoch = state["stopped_epoch"]
        self._best_weights = state["best_weights"] if self.restore_best else None
        self._best_before_step = state["best_before_step"]
        self._first_step, self._first_weights = state["first_step"], state["first_weights"]


def _weights(trainer: TrainerContext) -> Weights:
    """Return a copy of the weights that are evaluated."""
    with evaluated_weights(trainer.optimizer):
        own = {name: module.state_dict() for name, module in _modules(trainer)}
        copies: Weights = replaced(own, lambda _, leaf: _copied(leaf))
        return copies


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else deepcopy(value)


def _modules(trainer: TrainerContext) -> list[tuple[str, nn.Module]]:
    """Return the modules with weights: the model, the loss if it is one, and the average."""
    parts: dict[str, object] = {
        "model": trainer.model,
        "loss": trainer.loss_fn,
        "averaged_model": trainer.averaged_model,
    }
    return [(name, part) for name, part in parts.items() if isinstance(part, nn.Module)]
