"""The metric that a callback monitors: its name, its direction, its latest value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.metrics import Metric
from perceptrain_core.option_checks import check_choice
from perceptrain_core.schedules.monitored import awaits_validation, no_such_metric
from perceptrain_core.types import OptimizeResult, TrainingStage


def check_monitor(monitor: str, mode: str) -> None:
    """Check the options that name a metric and its direction.

    Raises:
        CallbackError: One of them is not valid.
    """
    if not isinstance(monitor, str):
        raise CallbackError(f"monitor must be the name of a metric, not {monitor!r}.")
    check_choice("mode", mode, ("min", "max"), error=CallbackError)


def check_mode(owner: str, monitor: str, mode: str, metrics: Mapping[str, Metric]) -> None:
    """Refuse a mode that contradicts a metric over the data set, if this one is.

    Args:
        owner: The callback, for the message.
        monitor: The name of the metric in the history.
        mode: ``"min"`` or ``"max"``.
        metrics: The metrics of the run, by label.

    Raises:
        CallbackError: Higher is better and ``mode`` is ``"min"``, or the reverse.
    """
    prefix, _, label = monitor.partition("_")
    higher = getattr(metrics.get(label), "higher_is_better", None) if prefix == "val" else None
    if higher is not None and higher is not (mode == "max"):
        better, right = ("higher", "max") if higher else ("lower", "min")
        raise CallbackError(
            f"{owner} monitors {monitor!r} with mode={mode!r}, but {better} values of this metric "
            f"are better: pass mode={right!r}."
        )


def read_metric(
    owner: str,
    monitor: str,
    on: TrainingStage,
    trainer: TrainerContext,
    config: TrainConfig,
    seen: bool,
) -> float | None:
    """Return the value of a metric, or ``None`` if it is not available now.

    Args:
        owner: The callback, for the message.
        monitor: The name of the metric in the history.
        on: The stage.
        trainer: The trainer.
        config: Its settings.
        seen: Whether it has been available before.

    Raises:
        CallbackError: This run does not have the metric.
    """
    metrics = _metrics(trainer.opt_result, on)
    if monitor in metrics:
        return float(metrics[monitor])
    validates = bool(config.val_every)
    if seen or (validates and "epoch" in on and awaits_validation(monitor, metrics)):
        return None
    raise CallbackError(no_such_metric(owner, monitor, metrics, validates))


def _metrics(result: OptimizeResult, on: TrainingStage) -> Mapping[str, Any]:
    """Return the metrics under their names in the history, which batch metrics lack."""
    if "batch" not in on:
        return result.metrics
    return {"train_loss": result.loss, **{f"train_{k}": v for k, v in result.metrics.items()}}
