"""Base of callbacks that compare a metric of the run with its best value so far."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isinf
from typing import Any

from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.callbacks.support.once_per_epoch import OncePerEpoch
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.schedules.monitored import awaits_validation, no_such_metric
from perceptrain_core.types import OptimizeResult, TrainingStage
from perceptrain_core.user_warnings import warn_user


class MetricCallback(OncePerEpoch):
    """Count the values of a metric since it last improved.

    Args:
        on: The stage.
        called_every: The number of epochs (batches on a batch stage) between two calls.
        monitor: The metric: ``"train_loss"``, ``"val_loss"``, ``"train_NAME"``, ...
        mode: ``"min"`` if lower is better, ``"max"`` if higher is.
        margin: A value must be better than the best by more than this.
        relative: Whether the margin is a fraction of the best value.

    Attributes:
        best_value: The best value so far; infinite before the first.
        counter: The number of values since the best one.
        seen: Whether the metric has been available at least once.

    Raises:
        CallbackError: An argument is not valid.
    """

    def __init__(
        self,
        on: TrainingStage | str,
        called_every: int,
        monitor: str,
        mode: str,
        margin: float,
        relative: bool = False,
    ) -> None:
        super().__init__(on, called_every)
        if not isinstance(monitor, str):
            raise CallbackError(f"monitor must be the name of a metric, not {monitor!r}.")
        if mode not in ("min", "max"):
            raise CallbackError(
                f"mode must be 'min' (lower is better) or 'max' (higher is better), not {mode!r}."
            )
        self.monitor, self.mode = monitor, mode
        self._margin, self._relative = margin, relative
        self.reset()

    def reset(self) -> None:
        """Forget all values."""
        super().reset()
        self.best_value = inf if self.mode == "min" else -inf
        self.counter = 0
        self.seen = False

    def read(self, trainer: TrainerContext, config: TrainConfig) -> float | None:
        """Return the value of the metric, or ``None`` if it is not available yet.

        Raises:
            CallbackError: This run does not have the metric.
        """
        metrics = _metrics(trainer.opt_result, self.on)
        if self.monitor in metrics:
            self.seen = True
            return float(metrics[self.monitor])
        awaited = (
            config.validates and "epoch" in self.on and awaits_validation(self.monitor, metrics)
        )
        if self.seen or awaited:
            return None
        owner = type(self).__name__
        raise CallbackError(no_such_metric(owner, self.monitor, metrics, config.validates))

    def is_improved_by(self, value: float) -> bool:
        """Record a value, and return whether it is the best so far. NaN never is."""
        best = self.best_value
        scale = abs(best) if self._relative else 1.0
        margin = 0.0 if isinf(best) else self._margin * scale  # the first value always improves
        better = value < best - margin if self.mode == "min" else value > best + margin
        if better:
            self.best_value, self.counter = value, 0
        else:
            self.counter += 1
        return better

    def end_run(self, trainer: TrainerContext) -> None:
        """Warn if the metric was never available.

        Warns:
            UserWarning: It was never available.
        """
        if trainer.current_epoch and not self.seen:
            warn_user(
                f"{type(self).__name__} has done nothing: {self.monitor!r} was not available at "
                f"any of its checks up to epoch {trainer.current_epoch}. Choose val_every and "
                "called_every so that it is.",
            )
        super().end_run(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, the values since, and whether the metric was available."""
        own = {"best_value": self.best_value, "counter": self.counter, "seen": self.seen}
        return super().state_dict() | own

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self.best_value, self.counter = state["best_value"], state["counter"]
        self.seen = state["seen"]


def _metrics(result: OptimizeResult, on: TrainingStage) -> Mapping[str, Any]:
    """Return the metrics under their names in the history, which batch metrics lack."""
    if "batch" not in on:
        return result.metrics
    return {"train_loss": result.loss, **{f"train_{k}": v for k, v in result.metrics.items()}}
