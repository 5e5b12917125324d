"""Read a metric of a run, and compare it with its best value so far."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from math import inf, isinf
from typing import Any

from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.metrics import Metric
from perceptrain_core.schedules.monitored import awaits_validation, no_such_metric
from perceptrain_core.types import OptimizeResult, TrainingStage


class MetricMonitor:
    """Count the values of a metric since it last improved.

    Args:
        owner: The callback that monitors, for messages.
        name: The metric: ``"train_loss"``, ``"val_loss"``, ``"train_NAME"``, ...
        mode: ``"min"`` if lower is better, ``"max"`` if higher is.
        margin: A value must be better than the best by more than this.
        relative: Whether the margin is a fraction of the best value.

    Attributes:
        best: The best value so far; infinite before the first.
        since: The number of values since the best one.
        seen: Whether the metric has been available at least once.

    Raises:
        CallbackError: ``mode`` or ``name`` is not valid.
    """

    def __init__(
        self, owner: str, name: str, mode: str, margin: float, relative: bool = False
    ) -> None:
        if not isinstance(name, str):
            raise CallbackError(f"monitor must be the name of a metric, not {name!r}.")
        if mode not in ("min", "max"):
            raise CallbackError(
                f"mode must be 'min' (lower is better) or 'max' (higher is better), not {mode!r}."
            )
        self.owner, self.name = owner, name
        self.mode, self.margin, self.relative = mode, margin, relative
        self.reset()

    def reset(self) -> None:
        """Forget all values."""
        self.best = inf if self.mode == "min" else -inf
        self.since = 0
        self.seen = False

    def check_mode(self, metrics: Mapping[str, Metric]) -> None:
        """Refuse a mode that contradicts a metric over the data set, if this one is.

        Args:
            metrics: The metrics of the run, by label.

        Raises:
            CallbackError: Higher is better and ``mode`` is ``"min"``, or the reverse.
        """
        prefix, _, label = self.name.partition("_")
        higher = getattr(metrics.get(label), "higher_is_better", None) if prefix == "val" else None
        if higher is not None and higher is not (self.mode == "max"):
            better, mode = ("higher", "max") if higher else ("lower", "min")
            raise CallbackError(
                f"{self.owner} monitors {self.name!r} with mode={self.mode!r}, but {better} values "
                f"of this metric are better: pass mode={mode!r}."
            )

    def read(self, result: OptimizeResult, on: TrainingStage, config: TrainConfig) -> float | None:
        """Return the value of the metric, or ``None`` if it is not available yet.

        Raises:
            CallbackError: This run does not have the metric.
        """
        metrics = _metrics(result, on)
        if self.name in metrics:
            self.seen = True
            return float(metrics[self.name])
        validates = bool(config.val_every)
        awaited = validates and "epoch" in on and awaits_validation(self.name, metrics)
        if self.seen or awaited:
            return None
        raise CallbackError(no_such_metric(self.owner, self.name, metrics, validates))

    def is_improved_by(self, value: float) -> bool:
        """Record a value, and return whether it is the best so far. NaN never is."""
        scale = abs(self.best) if self.relative else 1.0
        margin = 0.0 if isinf(self.best) else self.margin * scale  # the first value always improves
        better = value < self.best - margin if self.mode == "min" else value > self.best + margin
        if better:
            self.best, self.since = value, 0
        else:
            self.since += 1
        return better

    def warn_if_unseen(self, epochs: int) -> None:
        """Warn at the end of a run in which the metric was never available.

        Warns:
            UserWarning: It was never available.
        """
        if epochs and not self.seen:
            warnings.warn(
                f"{self.owner} has done nothing: {self.name!r} was not available at any of its "
                f"checks up to epoch {epochs}. Choose val_every and called_every so that it is.",
                stacklevel=2,
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, the values since, and whether the metric was available."""
        return {"best": self.best, "since": self.since, "seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.best, self.since, self.seen = state["best"], state["since"], state["seen"]


def _metrics(result: OptimizeResult, on: TrainingStage) -> Mapping[str, Any]:
    """Return the metrics under their names in the history, which batch metrics lack."""
    if "batch" not in on:
        return result.metrics
    return {"train_loss": result.loss, **{f"train_{k}": v for k, v in result.metrics.items()}}
