"""The charts of the curves: the panels of one run, or of several runs overlaid."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from perceptrain_core.metrics_file import Row
from perceptrain_core.reports.chart import Chart, Line
from perceptrain_core.reports.metric_names import (
    Name,
    is_learning_rate,
    is_weight,
    split_name,
    terms,
)
from perceptrain_core.reports.metric_table import Point, best_row, metric_names, points
from perceptrain_core.reports.reported_run import ReportedRun
from perceptrain_core.runs.metric_directions import better, monitored

LOSS, TERMS, WEIGHTS, RATE = "Loss", "Terms of the loss", "Weights of the terms", "Learning rate"
_INSIDE = "Validations within epochs"


def curves(records: Sequence[ReportedRun]) -> list[Chart]:
    """Return the charts of one run, or of several runs with a color each.

    Args:
        records: The runs. Among several, the folds of a cross-validation have one color.
    """
    if len(records) > 1:
        runs = [
            (color, record.name if run is record else f"{record.name} {run.name}", run)
            for color, record in enumerate(records)
            for run in record.runs
        ]
        return _of_several(runs)
    folds = records[0].runs
    if len(folds) > 1:
        return _of_several([(color, fold.name, fold) for color, fold in enumerate(folds)])
    return _of_one(folds[0]) + _inside_epochs(folds[0])


def best_epoch(record: ReportedRun) -> Row | None:
    """Return the row of the best epoch by the monitored metric, ``val_loss`` by default."""
    return best_row(record.rows, *monitored(record.settings))


def _of_one(record: ReportedRun) -> list[Chart]:
    names = metric_names(record.rows)
    panels: dict[str, list[tuple[str, Name]]] = {LOSS: [], TERMS: [], WEIGHTS: []}
    summed = terms(names, record.rows)
    for name in names:
        parts = split_name(name, names)
        if parts.stage != "test":
            panels.setdefault(_panel(name, parts, summed), []).append((name, parts))
    best = best_epoch(record)
    return [_panel_of_one(record, title, of, best) for title, of in panels.items() if of]


def _panel(name: str, parts: Name, summed: Sequence[str]) -> str:
    if is_learning_rate(name):
        return RATE
    if parts.metric == "loss":
        return LOSS
    if is_weight(parts.metric):
        return WEIGHTS
    return TERMS if parts.metric in summed else parts.metric


def _panel_of_one(
    record: ReportedRun, title: str, of: Sequence[tuple[str, Name]], best: Row | None
) -> Chart:
    several = len({parts.metric for _, parts in of}) > 1
    stages = () if several else ("train ", "val ")
    hues = list(dict.fromkeys([*stages, *(_hue(parts, several) for _, parts in of)]))
    lines = [
        Line(
            _line_label(parts, several),
            points(record.rows, name),
            hues.index(_hue(parts, several)),
            parts.stage == "val",
            _best_point(best, name) if not several else None,
        )
        for name, parts in of
    ]
    return Chart(title, lines, log=_may_be_log(of[0][0], title, record))


def _hue(parts: Name, several: bool) -> str:
    """Return what has one color: a metric, if the panel has several, or else a stage."""
    return parts.metric if several else f"{parts.stage} {parts.data}"


def _line_label(parts: Name, several: bool) -> str:
    stage = " ".join(filter(None, (parts.stage, parts.data)))
    metric = parts.metric.removeprefix("weight_")
    return (f"{metric} ({stage})" if stage == "val" else metric) if several else stage or metric


def _may_be_log(name: str, title: str, record: ReportedRun) -> bool:
    return title in (LOSS, TERMS, WEIGHTS, RATE) or better(name, record.settings) != "higher"


def _best_point(best: Row | None, name: str) -> Point | None:
    if best is None or not isfinite(best.get(name, float("nan"))):
        return None
    return best["epoch"], best[name]


def _of_several(runs: Sequence[tuple[int, str, ReportedRun]]) -> list[Chart]:
    """Return a chart for each metric: the color is the run, and validation is dashed."""
    panels: dict[str, list[tuple[int, str, ReportedRun, str, Name]]] = {LOSS: []}
    for color, label, run in runs:
        names = metric_names(run.rows)
        for name in names:
            parts = split_name(name, names)
            if parts.stage != "test":
                title = LOSS if parts.metric == "loss" else parts.metric
                title = RATE if is_learning_rate(name) else title
                panels.setdefault(title, []).append((color, label, run, name, parts))
    return [_panel_of_several(title, of) for title, of in panels.items() if of]


def _panel_of_several(title: str, of: Sequence[tuple[int, str, ReportedRun, str, Name]]) -> Chart:
    lines = [
        Line(
            " ".join(filter(None, (label, parts.stage, parts.data))),
            points(run.rows, name),
            color,
            parts.stage == "val",
            _best_point(best_epoch(run), name) if parts.stage == "val" else None,
        )
        for color, label, run, name, parts in of
    ]
    _, _, run, name, _ = of[0]
    return Chart(title, lines, log=_may_be_log(name, title, run), legend=False)


def _inside_epochs(record: ReportedRun) -> list[Chart]:
    """Return a chart for each metric of the validations after steps."""
    names = metric_names(record.validations)
    lines = {name: points(record.validations, name, "step") for name in names}
    return [
        Chart(
            f"{_INSIDE}: {name.removeprefix('val_')}",
            [Line("val", of, 1, True)],
            "step",
            log=better(name, record.settings) != "higher",
        )
        for name, of in lines.items()
    ]
