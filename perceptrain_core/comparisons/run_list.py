"""List the runs below a folder from their files alone: nothing that a run names is imported."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

from perceptrain_core.errors import DataError, PerceptrainError
from perceptrain_core.metrics_file import METRICS, TEST, Row, read_rows
from perceptrain_core.runs.figures import validation_figures
from perceptrain_core.runs.file_names import COMPARISON, FOLDS, RECORD, RUN_FILE, STATE, VAL


@dataclass
class Listed:
    """A run, a cross-validation, or a comparison.

    Attributes:
        name: Its folder, relative to the listed one.
        kind: ``"run"``, ``"folds"`` or ``"comparison"``.
        date: When its files were last written, in ISO format.
        model: The name of the model.
        loss: The name of the loss.
        optimizer: The name of the optimizer.
        epochs: The number of epochs that are trained.
        runs: How many runs it has.
        pruned: The epoch after which a search stopped it; 0 if it did not.
        val: The validation figures of the trained model, see `validation_figures`; means over
            folds; of the best variant.
        test: Its test figures.
        tables: The tables of the run file.
    """

    name: str
    kind: str
    date: str
    model: str = ""
    loss: str = ""
    optimizer: str = ""
    epochs: int = 0
    runs: int = 1
    pruned: int = 0
    val: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return what a listing shows, as plain values; ``None`` for NaN and infinity."""
        values = asdict(self)
        del values["tables"]
        for stage in ("val", "test"):  # JSON has no NaN
            own: dict[str, float] = values[stage]
            values[stage] = {n: v if isfinite(v) else None for n, v in own.items()}
        return values

    def figure(self, name: str) -> float | None:
        """Return a figure by its name, ``val_`` by default."""
        figures = self.val | self.test
        return figures.get(name, figures.get(f"val_{name}"))

    def value(self, key: str) -> Any:
        """Return what ``key`` is in the run: ``loss``, ``name`` or a key such as ``train.seed``."""
        if "." not in key:
            return getattr(self, key, None) if key != "tables" else None
        found: Any = self.tables
        for part in key.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found


def list_runs(folder: Path) -> list[Listed]:
    """Return the runs below a folder, the newest first.

    The runs of a cross-validation or a comparison are one entry; list its folder to see them.
    Folders that cannot be read are left out.

    Args:
        folder: The folder.
    """
    found = [entry for place in _places(folder) if (entry := _entry(place, folder)) is not None]
    return sorted(found, key=lambda entry: entry.date, reverse=True)


def _places(folder: Path) -> Iterator[Path]:
    """Yield the folders that may be a run, without those inside a group."""
    for place, below, files in os.walk(folder):
        path = Path(place)
        if path != folder and {FOLDS, COMPARISON}.intersection(files):
            below.clear()
        below[:] = [name for name in below if not name.startswith(".")]
        if path != folder and (RUN_FILE in files or COMPARISON in files):
            if RUN_FILE in files and "fold_1" in below:
                below[:] = [name for name in below if not name.startswith("fold_")]
            yield path


def _entry(place: Path, root: Path) -> Listed | None:
    try:
        name = str(place.relative_to(root))
        if (place / COMPARISON).exists():
            return _comparison(place, name)
        if (place / "fold_1").is_dir():
            return _cross_validation(place, name)
        return _run(place, name)
    # A stranger's files may hold anything.
    except (OSError, ValueError, LookupError, TypeError, AttributeError, PerceptrainError):
        return None


def _run(place: Path, name: str) -> Listed:
    history, entry = _history(place), _from_tables(place, name, "run")
    entry.epochs, entry.pruned = _epochs(history), int(_json(place / STATE).get("pruned", 0))
    entry.val = validation_figures(_numbers(_json(place / VAL)), _json(place / RECORD), history)
    entry.test = _numbers(_json(place / TEST))
    return entry


def _cross_validation(place: Path, name: str) -> Listed:
    entry = _from_tables(place, name, "folds")
    folds = sorted(place.glob("fold_*/"))
    entry.runs = len(folds)
    entry.epochs = sum(_epochs(_history(fold)) for fold in folds)
    entry.val = _numbers(_json(place / FOLDS).get("mean", {}))
    return entry


def _comparison(place: Path, name: str) -> Listed:
    table = _json(place / COMPARISON)
    variants = list(table["variants"])
    entry = Listed(name, "comparison", _date(place / COMPARISON))
    entry.runs = sum(int(variant["runs"]) for variant in variants)
    best = variants[0]
    mean = _numbers(best["mean"])
    entry.val = {key: value for key, value in mean.items() if key.startswith("val_")}
    entry.test = {key: value for key, value in mean.items() if key.startswith("test_")}
    run = place / str(best["folder"])
    if best["folder"] and (run / RUN_FILE).is_file():
        inner = _from_tables(run, name, "comparison")
        entry.model, entry.loss, entry.optimizer = inner.model, inner.loss, inner.optimizer
        entry.tables, entry.epochs = inner.tables, _epochs(_history(run))
    return entry


def _from_tables(place: Path, name: str, kind: str) -> Listed:
    tables = tomllib.loads((place / RUN_FILE).read_text(encoding="utf-8"))
    model, loss, optimizer = (
        _name(tables.get(part, {})) for part in ("model", "loss", "optimizer")
    )
    return Listed(name, kind, _date(place / RUN_FILE), model, loss, optimizer, tables=tables)


def _name(table: Any) -> str:
    name = table if isinstance(table, str) else str(table.get("name", ""))
    return Path(name).name  # without the folder of a reference


def _history(place: Path) -> list[Row]:
    try:
        return read_rows(place / METRICS)
    except DataError:
        return []


def _epochs(history: list[Row]) -> int:
    """Return the last epoch; figures of a test have a row of their own."""
    return int(max((row.get("epoch", n) for n, row in enumerate(history, 1)), default=0))


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{path} is not a table.")
    return value


def _numbers(figures: Any) -> dict[str, float]:
    return {str(k): float(v) for k, v in figures.items() if isinstance(v, int | float)}


def _date(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime).isoformat(" ", "seconds")
