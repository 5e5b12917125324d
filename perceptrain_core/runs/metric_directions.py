"""Which values of a metric are better, and in which runs, from its name and the run files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
#: Runs that differ in one of these have figures of other data; and losses in other units.
_SOURCES = ("file", "name", "labels", "classes", "inputs")
_UNITS = ("loss", "weighting")


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
    metric = metric.partition("[")[0]  # of one of several labels
    labels = [label for label in known if metric == label or metric.startswith(f"{label}_")]
    kind = known[max(labels, key=len)] if labels else ""
    return "higher" if kind in _HIGHER else "lower" if kind in _LOWER else ""


def better_in_all(name: str, runs: Sequence[Mapping[str, Any]]) -> str:
    """Return as `better`, for several runs; empty also if the metric means something else in each.

    Args:
        name: The metric, with its stage.
        runs: The tables of the run files.
    """
    directions = {better(name, settings) for settings in runs}
    return directions.pop() if len(directions) == 1 and _comparable(name, runs) else ""


def _comparable(name: str, runs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a figure means the same in several runs."""
    data = [_table(settings, "data") for settings in runs]
    meant = [[str(table.get(key)) for key in _SOURCES] for table in data]
    if name.endswith("_loss"):
        scaled = [str(table.get("scale_labels", False)) for table in data]
        units = [[str(settings.get(key)) for key in _UNITS] for settings in runs]
        meant = [[*one, *unit, s] for one, unit, s in zip(meant, units, scaled, strict=True)]
    return all(one == meant[0] for one in meant)


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
