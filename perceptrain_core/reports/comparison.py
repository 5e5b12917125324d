"""The figures of runs, and what differs between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean, stdev
from typing import Any

from perceptrain_core.metrics_file import Row
from perceptrain_core.reports.axis import number_text
from perceptrain_core.reports.curves import best_epoch
from perceptrain_core.reports.metric_names import is_weight
from perceptrain_core.reports.reported_run import ReportedRun
from perceptrain_core.runs.metric_directions import better_in_all

_PLACES = {"train.log_folder", "train.root_folder", "data.fold"}
_MISSING = "-"


@dataclass(frozen=True)
class Figure:
    """One figure of a run.

    Attributes:
        value: The value; the mean over folds.
        std: The sample standard deviation over folds; ``None`` without folds.
        best: Whether no other run of the report is better.
    """

    value: float
    std: float | None = None
    best: bool = False

    def __str__(self) -> str:
        text = number_text(self.value)
        return text if self.std is None else f"{text} ± {self.std:.2g}"


@dataclass(frozen=True)
class Table:
    """A table with a name for each row.

    Attributes:
        head: The names of the columns, with the one of the row names first.
        rows: For each row its name, and its cells: figures, text, or ``None``.
    """

    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Any]]]


def figures(record: ReportedRun) -> dict[str, Figure]:
    """Return the figures of the trained model: on the test data, and of the validation.

    Without validation data, its last training loss stands in for them. Those of a cross-validation
    are means over its folds.
    """
    if record.folds:
        rows = [{**fold.test, **fold.val} for fold in record.folds if fold.is_measured]
        return _over_folds(rows)
    found = {**record.test, **(record.val or _training_loss(record))}
    return {n: Figure(v) for n, v in found.items() if not is_weight(n.partition("_")[2])}


def _training_loss(record: ReportedRun) -> Row:
    of_weights = [r for n, r in enumerate(record.rows, 1) if r.get("epoch", n) == record.epoch]
    losses = [row["train_loss"] for row in of_weights if "train_loss" in row]
    return {"train_loss": losses[0]} if losses else {}


def _over_folds(rows: Sequence[Row]) -> dict[str, Figure]:
    found = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if name in row]
        whole = len(values) > 1 and all(map(isfinite, values))
        found[name] = Figure(fmean(values), stdev(values) if whole else None)
    return found


def results_table(records: Sequence[ReportedRun]) -> Table:
    """Return the figures of several trained models, with the best of each column marked."""
    of_runs = [figures(record) for record in records]
    names = list(dict.fromkeys(name for row in of_runs for name in row))
    names.sort(key=lambda name: (not name.startswith("test_"), name.startswith("train_")))
    best = {name: _best(name, records, of_runs) for name in names}
    rows = []
    for record, row in zip(records, of_runs, strict=True):
        cells: list[Figure | str | None] = [_epoch_text(record)]
        for name in names:
            figure = row.get(name)
            is_best = figure is not None and figure.value == best[name]
            cells.append(Figure(figure.value, figure.std, is_best) if figure else None)
        rows.append((record.name, cells))
    return Table(["run", "epoch", *names], rows)


def _epoch_text(record: ReportedRun) -> str:
    """Return the epoch that the weights are of, or those of the folds."""
    return ", ".join(str(run.epoch) for run in record.runs if run.epoch) or _MISSING


def _best(
    name: str, records: Sequence[ReportedRun], of_runs: Sequence[Mapping[str, Figure]]
) -> float | None:
    """Return the best value of a figure; ``None`` if it cannot be said which one is."""
    having = [pair for pair in zip(records, of_runs, strict=True) if name in pair[1]]
    found = [row[name].value for _, row in having if isfinite(row[name].value)]
    direction = better_in_all(name, [record.settings for record, _ in having])
    chooser: dict[str, Callable[[list[float]], float]] = {"lower": min, "higher": max}
    choose = chooser.get(direction)
    return choose(found) if choose and len(set(found)) > 1 else None


def differences_table(records: Sequence[ReportedRun]) -> Table:
    """Return the settings and the versions that are not the same in all runs."""
    of_runs = [_flat(record) for record in records]
    keys = list(dict.fromkeys(key for row in of_runs for key in row))
    rows = []
    for key in keys:
        values = [row.get(key, _MISSING) for row in of_runs]
        if key not in _PLACES and len(set(values)) > 1:
            rows.append((key, values))
    return Table(["setting", *(record.name for record in records)], rows)


def _flat(record: ReportedRun) -> dict[str, str]:
    return settings_rows({**record.settings, "versions": record.versions})


def settings_rows(tables: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Return nested tables as rows: the path of each value, and the value as text."""
    found: dict[str, str] = {}
    for key, value in tables.items():
        path = f"{above}.{key}" if above else key
        if isinstance(value, dict) and value:
            found |= settings_rows(value, path)
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            for number, each in enumerate(value, start=1):
                found |= settings_rows(each, f"{path}.{number}")
        else:
            found[path] = value_text(value)
    return found


def value_text(value: Any) -> str:
    """Return a setting as TOML would write it, without the quotes of text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    return str(value)


def folds_table(record: ReportedRun) -> Table:
    """Return the figures of the folds, with the mean and the standard deviation below."""
    rows = [{**fold.test, **(fold.val if fold.is_measured else {})} for fold in record.folds]
    over = figures(record)
    table: list[tuple[str, Sequence[Any]]] = [
        (fold.name, [Figure(row[name]) if name in row else None for name in over])
        for fold, row in zip(record.folds, rows, strict=True)
    ]
    table.append(("mean", [Figure(figure.value) for figure in over.values()]))
    stds = [None if f.std is None else Figure(f.std) for f in over.values()]
    table.append(("standard deviation", stds))
    return Table(["fold", *over], table)


def stages_table(record: ReportedRun) -> Table:
    """Return the metrics of one run: at the best epoch, and of the trained model."""
    best = best_epoch(record) or {}
    columns: list[tuple[str, str, Row]] = [
        ("train, best epoch", "train_", best),
        ("validation, best epoch", "val_", best),
        (f"validation, {record.weights}", "val_", record.val),
        ("test", "test_", record.test),
    ]
    shown = [column for column in columns if any(n.startswith(column[1]) for n in column[2])]
    names = dict.fromkeys(
        name.removeprefix(prefix)
        for _, prefix, row in shown
        for name in row
        if name.startswith(prefix)
    )
    rows = [
        (
            name,
            [Figure(row[p + name]) if p + name in row else None for _, p, row in shown],
        )
        for name in names
        if not is_weight(name)
    ]
    return Table(["metric", *(title for title, _, _ in shown)], rows)
