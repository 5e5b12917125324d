"""Read the files of a run folder, whole or partial, without running anything that they name."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from perceptrain_core.errors import ConfigError, DataError
from perceptrain_core.metrics_file import METRICS, TEST, VALIDATIONS, Row, read_rows
from perceptrain_core.reports.predictions_file import LabelPredictions, read_predictions
from perceptrain_core.runs.figures import validation_figures, weights_epoch
from perceptrain_core.runs.file_names import (
    COMPARISON,
    MOST_PREDICTIONS,
    PREDICTIONS,
    RECORD,
    RUN_FILE,
    VAL,
    WEIGHTS,
)
from perceptrain_core.runs.toml import parse_toml

SETTINGS = "hyperparams.json"
_RUN_FILES = (RUN_FILE, METRICS, "fold_1")


@dataclass(frozen=True)
class ReportedRun:
    """What the files of a run folder say.

    Attributes:
        folder: The folder.
        name: What the report calls the run.
        settings: The tables of the run file, without ``provenance``; the hyperparameters of a run
            from a script; empty if there is neither.
        provenance: What supplied each part: part, then name, distribution and version.
        versions: The versions that the run depended on.
        rows: A row for each epoch.
        validations: A row for each validation inside an epoch.
        epoch: The epoch of the weights; 0 before the first.
        val: The validation figures of the weights, see `validation_figures`.
        test: The figures of ``test.json``, or those of the last epoch.
        folds: The runs of a cross-validation.
        predictions: The predictions of each label, if the folder has them.
        has_weights: Whether there is a ``model.pt``, which a run file writes when training ends.
        is_tested: Whether there is a ``test.json``; the predictions are then of the test rows.
        is_measured: Whether there is a ``val.json``, which is written after the weights.
        notes: What is missing or unusual.
    """

    folder: Path
    name: str
    settings: dict[str, Any]
    provenance: dict[str, dict[str, Any]]
    versions: dict[str, Any]
    rows: list[Row]
    validations: list[Row]
    epoch: int
    val: Row
    test: Row
    folds: list[ReportedRun] = field(default_factory=list)
    predictions: list[LabelPredictions] = field(default_factory=list)
    has_weights: bool = False
    is_measured: bool = False
    is_tested: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def is_finished(self) -> bool:
        """Whether training ended, as far as the files show: scripts need not write weights."""
        return self.has_weights or bool(self.folds) or "model" not in self.settings

    @property
    def weights(self) -> str:
        """What the figures are of, in words."""
        return "trained model" if self.is_finished else f"epoch {self.epoch}"

    @property
    def predicted(self) -> str:
        """Which rows the predictions are of, in words; empty if the files do not say."""
        if not self.predictions or not (self.is_tested or self.is_measured):
            return ""
        first = f"first {MOST_PREDICTIONS:,} " * (
            len(self.predictions[0].truth) == MOST_PREDICTIONS
        )
        return f"the {first}{'test' if self.is_tested else 'validation'} rows"

    @property
    def runs(self) -> list[ReportedRun]:
        """The runs with curves: the folds, or this one."""
        return self.folds or [self]

    def table(self, name: str) -> dict[str, Any]:
        """Return a table of the run file; empty if it has none of this name."""
        table = self.settings.get(name)
        return table if isinstance(table, dict) else {}


def read_runs(folders: Sequence[Path]) -> list[ReportedRun]:
    """Read run folders, and name them so that no two have one name.

    Args:
        folders: The folders; one that is named twice is read once.

    Raises:
        DataError: A folder is not that of a run, or a file cannot be read.
    """
    unique = list(dict.fromkeys(folder.resolve() for folder in folders))
    above = os.path.commonpath([folder.parent for folder in unique])
    if len(unique) == 1 and unique[0].name.startswith(("run-", "fold_")):
        above = str(unique[0].parent.parent)
    return [read_run(folder, os.path.relpath(folder, above)) for folder in unique]


def read_run(folder: Path, name: str) -> ReportedRun:
    """Read a run folder.

    Args:
        folder: The folder, of a run that has ended or not.
        name: What to call it.

    Raises:
        DataError: It is not the folder of a run, or a file cannot be read.
    """
    if not any((folder / file).exists() for file in _RUN_FILES):
        raise DataError(_no_run(folder))
    tables = _read_tables(folder)
    provenance = tables.pop("provenance", {})
    parts = {part: e for part, e in provenance.items() if isinstance(e, dict)}
    versions = parts.pop("versions", {})
    rows, saved = read_rows(folder / METRICS), _read_saved(folder)
    record = ReportedRun(
        folder,
        name,
        tables,
        parts,
        versions,
        rows,
        read_rows(folder / VALIDATIONS),
        weights_epoch(saved, rows),
        validation_figures(_read_figures(folder / VAL), saved, rows),
        _read_figures(folder / TEST),
        [read_run(path, path.name) for path in _fold_folders(folder)],
        read_predictions(folder / PREDICTIONS, _classes(saved)),
        (folder / WEIGHTS).is_file(),
        (folder / VAL).is_file(),
        (folder / TEST).is_file(),
    )
    for row in record.rows[-1:]:
        for metric in row:
            if metric.startswith("test_"):
                record.test.setdefault(metric, row[metric])
    record.notes.extend(_notes(record))
    return record


def _fold_folders(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("fold_*") if path.name[5:].isdecimal()]
    whole = [path for path in found if any((path / file).exists() for file in _RUN_FILES)]
    return sorted(whole, key=lambda path: int(path.name[5:]))


def _no_run(folder: Path) -> str:
    inside = sorted({path.parent for path in folder.glob(f"*/{METRICS}")})
    if (folder / COMPARISON).is_file() and inside:
        return (
            f"{folder} is the folder of a comparison: expected folders of runs. Name one or more "
            f"of the runs in it, such as {inside[0]}; `perceptrain runs {folder}` lists them."
        )
    advice = f" There are runs inside, such as {inside[-1]}." if inside else ""
    return (
        f"{folder} has neither {RUN_FILE} nor {METRICS}: expected the folder of a run, such as "
        f"runs/NAME.{advice}"
    )


def _read_tables(folder: Path) -> dict[str, Any]:
    path = folder / RUN_FILE
    try:
        if path.is_file():
            return parse_toml(path.read_text(encoding="utf-8"), str(path))
        if (folder / SETTINGS).is_file():
            return {"hyperparams": _read_json(folder / SETTINGS)}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ConfigError) as error:
        raise DataError(f"{path} is not a run file in TOML: {error}.") from None
    return {}


def _read_saved(folder: Path) -> dict[str, Any]:
    """Read what ``run.json`` says; nothing before the training has ended."""
    path = folder / RECORD
    return _read_json(path) if path.is_file() else {}


def _classes(saved: Mapping[str, Any]) -> list[str]:
    """Return the names of the classes of a run, if it has classes."""
    found = saved.get("classes")
    return [str(name) for name in found] if isinstance(found, list) else []


def _read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise DataError(f"{path} holds a {type(value).__name__}: expected a JSON object.")
    return value


def _read_figures(path: Path) -> Row:
    """Read a JSON file of figures; those that are not numbers are left out."""
    if not path.is_file():
        return {}
    values = _read_json(path).items()
    return {name: float(v) for name, v in values if isinstance(v, int | float)}


def _notes(record: ReportedRun) -> list[str]:
    notes = []
    if not record.settings:
        notes.append(f"There is no {RUN_FILE}, so the settings and versions are unknown.")
    if not record.rows and not record.folds:
        notes.append(f"{METRICS} has no rows: no epoch has ended, or write_every is 0.")
    if not record.is_finished:
        notes.append(f"There is no {WEIGHTS}: the run is not finished, or was interrupted.")
    wanted = record.table("data").get("folds")
    if record.folds and isinstance(wanted, int) and not record.table("data").get("fold"):
        done = sum(fold.is_measured for fold in record.folds)
        if done < wanted:
            notes.append(f"{done} of {wanted} folds are complete.")
    has_validation = any(name.startswith("val_") for row in record.rows for name in row)
    if record.rows and not has_validation:
        notes.append("The run has no validation: the best epoch is the one of the training loss.")
    return notes + _not_finite(record.rows)


def _not_finite(rows: Sequence[Row]) -> list[str]:
    """Return a note for each metric with NaN or infinite values."""
    bad: dict[str, list[int]] = {}
    for number, row in enumerate(rows, start=1):
        for name, value in row.items():
            if not isfinite(value):
                bad.setdefault(name, []).append(int(row.get("epoch", number)))
    return [
        f"{name} is NaN or infinite in {len(epochs)} of {len(rows)} epochs, first in epoch "
        f"{epochs[0]}."
        for name, epochs in bad.items()
    ]
