"""What the name of a metric says: its stage, its validation set, and which values are better."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perceptrain_core.reports.metric_table import Row

STAGES = ("train", "val", "test")
_HIGHER = {
    "accuracy",
    "auroc",
    "average_precision",
    "explained_variance",
    "f1",
    "precision",
    "r2",
    "recall",
}
_LOWER = {"calibration_error", "loss", "mae", "mse", "rmse"}
_RATE = re.compile(r"(train_)?(lr|learning_rate)(_.*)?")
_WEIGHT = "weight_"


@dataclass(frozen=True)
class Name:
    """The parts of a name.

    Attributes:
        stage: ``"train"``, ``"val"``, ``"test"``, or empty.
        metric: The metric.
        data: The validation set; empty if there is only one.
    """

    stage: str
    metric: str
    data: str = ""


def split_name(name: str, names: Collection[str]) -> Name:
    """Split a name such as ``val_noisy_loss`` into its parts.

    Args:
        name: The name.
        names: All names, which tell ``noisy_loss`` of the set ``noisy`` from a metric.
    """
    stage, _, metric = name.partition("_")
    if stage not in STAGES or not metric:
        return Name("", name)
    if stage == "val" and f"train_{metric}" not in names:
        data, _, rest = metric.partition("_")
        while rest:
            if f"val_{rest}" in names and (f"train_{rest}" in names or f"val_{data}_loss" in names):
                return Name(stage, rest, data)
            more, _, rest = rest.partition("_")
            data += f"_{more}"
    return Name(stage, metric)


def is_weight(metric: str) -> bool:
    """Whether a metric is the weight of a term."""
    return metric.startswith(_WEIGHT)


def is_learning_rate(name: str) -> bool:
    """Whether a name is that of a learning rate."""
    return _RATE.fullmatch(name) is not None


def terms(names: Collection[str], rows: Sequence[Row]) -> list[str]:
    """Return the metrics that are terms of the loss: weighted ones, or those that add up to it."""
    weighted = [n.removeprefix(f"train_{_WEIGHT}") for n in names if n.startswith("train_weight_")]
    if weighted:
        return [metric for metric in weighted if f"train_{metric}" in names]
    others = [n for n in names if n.startswith("train_") and n != "train_loss"]
    if len(others) < 2 or not rows:
        return []
    sums = [(sum(row.get(n, 0.0) for n in others), row.get("train_loss", 0.0)) for row in rows]
    adds_up = all(abs(total - loss) <= 1e-3 * abs(loss) for total, loss in sums)
    return [name.removeprefix("train_") for name in others] if adds_up else []


def better(name: str, settings: Mapping[str, Any]) -> str:
    """Return which values of a metric are better: ``"lower"``, ``"higher"``, or empty if unknown.

    Args:
        name: The metric, with its stage.
        settings: The tables of the run file, which name the metrics and what is monitored.
    """
    monitor, mode = monitored(settings)
    if name.partition("_")[2] == monitor.partition("_")[2]:
        return "higher" if mode == "max" else "lower"
    metric = name.partition("_")[2]
    if metric.endswith("loss"):
        return "lower"
    kinds = {label: _kind(label, options) for label, options in _table(settings, "metrics").items()}
    known = {name: name for name in _HIGHER | _LOWER} | kinds
    labels = [label for label in known if metric == label or metric.startswith(f"{label}_")]
    kind = known[max(labels, key=len)] if labels else ""
    return "higher" if kind in _HIGHER else "lower" if kind in _LOWER else ""


def monitored(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return the metric that chooses the best epoch, and ``"min"`` or ``"max"``."""
    callbacks = settings.get("callbacks")
    for callback in callbacks if isinstance(callbacks, list) else []:
        if isinstance(callback, dict) and callback.get("name") == "save_best_checkpoint":
            monitor, mode = callback.get("monitor", "val_loss"), callback.get("mode", "min")
            return str(monitor), str(mode)
    train = _table(settings, "train")
    monitor, mode = train.get("checkpoint_monitor", "val_loss"), train.get("checkpoint_mode", "min")
    return str(monitor), str(mode)


def _table(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = settings.get(name)
    return table if isinstance(table, dict) else {}


def _kind(label: str, options: Any) -> str:
    name = options.get("name", label) if isinstance(options, dict) else label
    return str(name).rpartition("/")[2]
