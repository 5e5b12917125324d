"""A run from a file: build its parts, train, and leave a folder that tells all of it."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import tomli_w
import torch

from perceptrain_core.callbacks import Callback, TrainerContext
from perceptrain_core.callbacks.support.writer import tracker_names
from perceptrain_core.checkpoints.folder import newest_run_folder
from perceptrain_core.checkpoints.random_state import seed_everything
from perceptrain_core.config import TrainConfig
from perceptrain_core.data.files.splits import Splits, as_splits, split_rows, standardize
from perceptrain_core.data.files.table_file import read_table as read_data
from perceptrain_core.errors import ConfigError, DataError, OptionError
from perceptrain_core.losses import WeightedLoss
from perceptrain_core.registry import registry
from perceptrain_core.runs.run_file import (
    DataTable,
    RunFile,
    in_table,
    read_run_file,
    resolved_tables,
    train_config,
)
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.trackers.csv import FILE as METRICS
from perceptrain_core.trackers.csv import read_table
from perceptrain_core.training.provenance import Provenance, versions
from perceptrain_core.training.trainer import Trainer

RUN_FILE, WEIGHTS, TEST = "run.toml", "model.pt", "test.json"
_OF_FILES = {"file", "inputs", "labels", "classes"}


@dataclass
class Run:
    """A run that is ready to go.

    Attributes:
        run_file: What was asked for.
        path: Where it was read.
        trainer: Everything put together.
        splits: The data.
    """

    run_file: RunFile
    path: Path
    trainer: Trainer
    splits: Splits

    def train(self, resume: bool | str | Path = False) -> Path:
        """Train, and leave a run folder.

        It holds ``run.toml``, the file in full with the versions of what it used, written at the
        start; ``metrics.csv``, a row an epoch; checkpoints; ``model.pt``, the trained weights; and
        ``test.json`` where there are test data.

        Returns:
            The run folder.
        """
        config = self.trainer.config
        resume = resume or config.resume
        if resume is True:
            self._require_same_parts(newest_run_folder(config) / RUN_FILE)
        first = Callback("train_start", callback=self._write_run_file)
        self.trainer.config = replace(config, callbacks=[*config.callbacks, first])
        self.trainer.fit(resume=resume)
        folder = self.trainer.log_folder
        write_history(folder / METRICS, self.trainer.history)
        torch.save(self.trainer.model.state_dict(), folder / WEIGHTS)
        return folder

    def test(self) -> dict[str, float]:
        """Give the means of the metrics over the test data, and write them to ``test.json``."""
        rows = self.trainer.test()
        if not rows:
            raise DataError("The test data gave no batch: they are empty or used up.")
        means = {name: fmean(row[name] for row in rows) for name in rows[0]}
        path = self.trainer.log_folder / TEST
        path.write_text(json.dumps(means, indent=2) + "\n", encoding="utf-8")
        return means

    def _require_same_parts(self, path: Path) -> None:
        """A checkpoint brings the state of its parts, so other options would be a false record."""
        if not path.exists():
            return
        before, now = read_run_file(path), self.run_file
        tables = ("model", "loss", "weighting", "optimizer")
        changed = [t for t in tables if getattr(before, t) != getattr(now, t)]
        if changed:
            raise ConfigError(
                f"The run in {path.parent} has other options in [{'], ['.join(changed)}], and "
                "resuming goes on with those. Give the same, or start a new run without --resume."
            )

    def _write_run_file(
        self, trainer: TrainerContext, config: TrainConfig, writer: Tracker
    ) -> None:
        trainer.log_folder.mkdir(parents=True, exist_ok=True)
        found = self.trainer.provenance
        plain = {
            part: {key: value for key, value in entry.items() if value is not None}
            for part, entry in found.items()
        }
        record = {**plain, "versions": versions(found)}
        tables = resolved_tables(self.run_file, self.trainer.config, record)
        path = trainer.log_folder / RUN_FILE
        path.write_text(tomli_w.dumps(tables), encoding="utf-8")

    def try_one_batch(self) -> dict[str, float]:
        """Train and validate on one batch, writing nothing; give the losses."""
        self.trainer.max_batches = 1
        self.trainer.config = dry_config(self.trainer.config)
        self.trainer.fit()
        return self.trainer.history[0]


def build_run(run: RunFile, path: Path) -> Run:
    """Build the parts of a run.

    Args:
        run: The run file.
        path: Where it was read, for messages and the name of the run folder.

    Raises:
        ConfigError: A part cannot be built; the message names its table.
    """
    config = train_config(run, path, **_defaults(run, path))
    with in_table(path, "data"):
        _seed(config)  # a function of the user's may draw points at random
        splits = _load_data(run)
    if splits.val is None and "val_every" not in run.train:
        with in_table(path, "train"):
            config = replace(config, val_every=0)
    _seed(config)  # whatever the data took
    with in_table(path, "model"):
        model = registry().resolve("model", run.model.name, (), run.model.options)
    with in_table(path, "loss"):
        loss_fn = registry().resolve("loss", run.loss.name, (), run.loss.options)
    if run.weighting is not None:
        with in_table(path, "weighting"):
            loss_fn = WeightedLoss(loss_fn, {"name": run.weighting.name, **run.weighting.options})
    with in_table(path, "optimizer"):
        optimizer = registry().resolve(
            "optimizer", run.optimizer.name, (model.parameters(),), run.optimizer.options
        )
    trainer = Trainer(model, optimizer, config, loss_fn, splits.train, splits.val, splits.test)
    trainer.provenance = _provenance(run, trainer)
    return Run(run, path, trainer, splits)


def dry_config(config: TrainConfig) -> TrainConfig:
    """Give the settings for one epoch that leaves no trace."""
    return replace(
        config,
        max_iter=1,
        val_every=min(config.val_every, 1),
        progress=False,
        print_every=0,
        write_every=0,
        checkpoint_every=0,
        checkpoint_best_only=False,
        plot_every=0,
        live_plot_every=0,
        log_model=False,
        hyperparams={},
        callbacks=[],
        tracking_tool="none",
    )


def _seed(config: TrainConfig) -> None:
    if config.seed is not None:
        seed_everything(config.seed)


def _defaults(run: RunFile, path: Path) -> dict[str, Any]:
    epochs = run.train.get("max_iter", TrainConfig().max_iter)
    tenth = max(1, epochs // 10) if isinstance(epochs, int) else 1
    return {
        "log_folder": path.stem,
        "tracking_tool": "csv",
        "print_every": tenth,
        "write_every": 1,
        "checkpoint_every": tenth,
        "val_every": 1,
    }


def _load_data(run: RunFile) -> Splits:
    table = run.data
    if table.file is not None:
        rows = read_data(table.file, table.inputs or (), table.labels or (), table.classes)
        splits = Splits(rows)
    else:
        splits = as_splits(_resolve_data(table))
    splits = split_rows(splits, table.val_fraction, table.test_fraction, table.split_seed)
    return standardize(splits) if table.standardize else splits


def _resolve_data(table: DataTable) -> Any:
    try:
        return registry().resolve("dataset", table.name, (), table.options)
    except OptionError as error:  # a misspelt key of the table looks like an option
        keys = [key for key in DataTable.model_fields if key not in _OF_FILES]
        raise OptionError(f"{error} The table itself takes: {', '.join(keys)}.") from error


def _provenance(run: RunFile, trainer: Trainer) -> Provenance:
    found = dict(trainer.provenance)
    if run.data.name is not None:
        found["data"] = registry().entry("dataset", run.data.name).provenance()
    names = tracker_names(trainer.config.tracking_tool)
    for number, name in enumerate(names):
        part = "tracker" if len(names) == 1 else f"tracker_{number}"
        found[part] = registry().entry("tracker", name).provenance()
    return found


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """Write a row for each epoch, whatever tracker the run had.

    What callbacks wrote to a table that is there already stays, the last value of each epoch.
    """
    columns, written = read_table(path)
    names = list(dict.fromkeys(name for row in history for name in row))
    kept: dict[int, dict[str, Any]] = {}
    for line in written:
        others = {n: v for n, v in line.items() if v and n not in ("epoch", *names)}
        kept.setdefault(int(line["epoch"]), {}).update(others)
    columns = ["epoch", *names, *(name for name in columns if name not in ("epoch", *names))]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for epoch, row in enumerate(history, start=1):
            writer.writerow({"epoch": epoch, **row, **kept.get(epoch, {})})
