"""The ``csv`` tracker: metrics as a CSV file, everything else as files next to it."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import TrainingError
from perceptrain_core.metrics_file import METRICS, TEST, VALIDATIONS, read_table
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.trackers.figures import PlottingFunctions, figures, picture_file
from perceptrain_core.trackers.settings import as_json
from perceptrain_core.types import Loader


class CSVTracker(Tracker):
    """Write ``metrics.csv``, ``hyperparams.json``, figures as PNG files and ``model.pt``.

    Validations inside epochs are written to ``validations.csv``, with the columns ``step`` and
    ``epoch``.

    The CSV file has a column ``epoch`` and a column for each metric. A metric that first appears
    later, such as a validation metric, adds a column, which is empty in the rows before. Each
    `write` appends a row to the file before it returns. On batch stages, an epoch has many rows.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._columns: dict[str, list[str]] = {}
        self._iteration = 0

    @property
    def folder(self) -> Path:
        """The folder of the run, created if it is missing.

        Raises:
            TrainingError: The tracker is not open.
        """
        if self._folder is None:
            raise TrainingError("The tracker is not open: call open(config) first.")
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def open(self, config: TrainConfig, iteration: int = 0) -> None:
        """Set the folder. Rows after this epoch are dropped at the first `write`."""
        self._folder = Path(config.log_folder)
        self._columns = {}
        self._iteration = iteration

    def close(self) -> None:
        """Forget the folder; no file stays open between writes."""
        self._folder = None

    def write(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Add a row; the metrics of a test, which is of no epoch, go to ``test.json`` instead."""
        if metrics and all(name.startswith("test_") for name in metrics):
            text = json.dumps({name: float(value) for name, value in metrics.items()}, indent=2)
            (self.folder / TEST).write_text(text + "\n", encoding="utf-8")
            return
        row = {"epoch": iteration, **{name: float(value) for name, value in metrics.items()}}
        self._append(METRICS, row, self._iteration + 1)

    def write_step(self, step: int, iteration: int, metrics: Mapping[str, float]) -> None:
        """Add a row to ``validations.csv``."""
        values = {name: float(value) for name, value in metrics.items()}
        self._append(VALIDATIONS, {"step": step, "epoch": iteration, **values}, step)

    def log_hyperparams(self, hyperparams: Mapping[str, Any]) -> None:
        """Write ``hyperparams.json``; values that JSON does not support are written as text."""
        (self.folder / "hyperparams.json").write_text(as_json(hyperparams), encoding="utf-8")

    def plot(self, model: nn.Module, iteration: int, plotting_functions: PlottingFunctions) -> None:
        """Save each figure as ``NAME_EPOCH.png``."""
        for name, figure in figures(model, iteration, plotting_functions):
            figure.savefig(self.folder / picture_file(name, iteration))

    def log_model(
        self,
        model: nn.Module,
        train_dataloader: Loader | None = None,
        val_dataloader: Loader | None = None,
        test_dataloader: Loader | None = None,
    ) -> None:
        """Save the weights, a ``state_dict``, as ``model.pt``."""
        torch.save(model.state_dict(), self.folder / "model.pt")

    def _append(self, name: str, row: Mapping[str, float], dropped: int) -> None:
        """Add a row to a file; at the first one, drop rows from the number ``dropped`` on."""
        if any(column not in self._columns.get(name, ()) for column in row):
            self._add_columns(name, row, dropped)
        with (self.folder / name).open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns[name]).writerow(row)

    def _add_columns(self, name: str, row: Mapping[str, float], dropped: int) -> None:
        path, number = self.folder / name, next(iter(row))
        columns, rows = read_table(path, number)
        if name not in self._columns:  # drop rows after the checkpoint that the run resumes from
            rows = [row for row in rows if int(row[number]) < dropped]
        self._columns[name] = list(dict.fromkeys([*columns, *row]))
        # The old table stays intact if the run is killed here.
        new = path.with_name(f"{name}.new")
        with new.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns[name])
            writer.writeheader()
            writer.writerows(rows)
        os.replace(new, path)
