"""The ``csv`` tracker: metrics as a CSV file, everything else as files next to it."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import TrainingError
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.trackers.figures import PlottingFunctions, figures, picture_file
from perceptrain_core.trackers.settings import as_json
from perceptrain_core.types import Loader

FILE = "metrics.csv"


class CSVTracker(Tracker):
    """Write ``metrics.csv``, ``hyperparams.json``, figures as PNG files and ``model.pt``.

    The CSV file has a column ``epoch`` and a column for each metric. A metric that first appears
    later, such as a validation metric, adds a column, which is empty in the rows before. Each
    `write` appends a row to the file before it returns. On batch stages, an epoch has many rows.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._columns: list[str] = []
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
        self._columns = []
        self._iteration = iteration

    def close(self) -> None:
        """Forget the folder; no file stays open between writes."""
        self._folder = None

    def write(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Add a row."""
        new = [name for name in ("epoch", *metrics) if name not in self._columns]
        if new:
            self._add_columns(new)
        row = {"epoch": iteration, **{name: float(value) for name, value in metrics.items()}}
        with (self.folder / FILE).open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow(row)

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

    def _add_columns(self, names: list[str]) -> None:
        path = self.folder / FILE
        fresh = not self._columns
        self._columns, rows = read_table(path)
        if fresh:  # drop rows after the checkpoint that the run is resumed from
            rows = [row for row in rows if int(row["epoch"]) <= self._iteration]
        self._columns += [name for name in names if name not in self._columns]
        # The old table stays intact if the run is killed here.
        new = path.with_name(f"{FILE}.new")
        with new.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)
        os.replace(new, path)


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Read the columns and the complete rows; a killed run may leave an incomplete last row."""
    if not path.exists():
        return [], []
    text = path.read_text(encoding="utf-8", errors="replace")
    reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    columns = list(reader.fieldnames or [])
    whole = [row for row in reader if len(row) == len(columns) and None not in row.values()]
    if "epoch" not in columns:
        return [], []
    return columns, [row for row in whole if row["epoch"].isdecimal()]
