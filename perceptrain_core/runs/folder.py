"""The files of a run folder besides the checkpoints: run file, metrics, weights, test results."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import tomli_w
import torch
from torch import nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.config.run_folder import named_folder
from perceptrain_core.metrics_file import METRICS, VALIDATIONS, read_table
from perceptrain_core.runs.data_paths import data_with_paths
from perceptrain_core.runs.file_names import RUN_FILE, WEIGHTS
from perceptrain_core.runs.paths import relative_path, relative_references
from perceptrain_core.runs.tables import RunFile
from perceptrain_core.training.provenance import Provenance, versions

_TOML_SCALARS = (str, int, float, bool)


def write_run_file(
    folder: Path, run_file: RunFile, config: TrainConfig, provenance: Provenance
) -> None:
    """Write the complete run file, with the versions that the run uses."""
    record: dict[str, Any] = {
        part: {key: value for key, value in entry.items() if value is not None}
        for part, entry in provenance.items()
    }
    record["versions"] = versions(provenance)
    tables = complete_tables(run_file, config, record)
    # The folder may be moved together with the data and the code.
    tables |= relative_references({t: tables[t] for t in tables if t != "provenance"}, folder)
    for key, value in data_with_paths(run_file.data).items():
        if isinstance(value, Path):
            tables["data"][key] = relative_path(value, folder)
    text = tomli_w.dumps(tables)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RUN_FILE).write_text(text, encoding="utf-8")


@contextmanager
def discarded_if_empty(base: Path, folder: Callable[[], Path | None]) -> Iterator[None]:
    """Remove a run folder again if an error leaves nothing in it but the run file.

    Args:
        base: The folder that the settings name; if it existed before, it is kept.
        folder: Returns the run folder, which may be chosen only in the block; ``None`` if it is
            not chosen yet, or only in other processes.
    """
    existed = {place for place in (base, *base.parents) if place.exists()}
    try:
        yield
    except BaseException:
        made = folder()
        if made is None:
            made = base
        elif [path.name for path in made.glob("*")] == [RUN_FILE]:
            (made / RUN_FILE).unlink(missing_ok=True)
        for place in (made, *made.parents):
            if place in existed:
                break
            try:
                place.rmdir()
            except FileNotFoundError:
                continue
            except OSError:  # something is in it
                break
        raise


def complete_tables(
    run_file: RunFile, config: TrainConfig, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all tables of a run, defaults included, so that the file repeats the run."""
    tables = run_file.model_dump(exclude_none=True, exclude={"train", "provenance"})
    data = data_with_paths(run_file.data)
    tables["data"] = {k: str(v) if isinstance(v, Path) else v for k, v in data.items()}
    tables["train"] = _train_table(config)
    tables["provenance"] = dict(provenance)
    return {name: table for name, table in tables.items() if table}


def _train_table(config: TrainConfig) -> dict[str, Any]:
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    del values["resume"]  # repeating a run starts it afresh
    values["log_folder"] = named_folder(config.log_folder)  # in a folder of its own
    texts = {name: str(v) if isinstance(v, Path) else v for name, v in values.items()}
    table: dict[str, Any] = {
        name: value for name, value in texts.items() if isinstance(value, _TOML_SCALARS)
    }
    if config.dtype is not None:
        table["dtype"] = str(config.dtype)
    for name in ("tracking_tool", "activation_checkpointing"):
        if isinstance(values[name], list):
            table[name] = values[name]
    for name in ("hyperparams", "lr_scheduler"):
        if isinstance(values[name], Mapping) and values[name]:
            table[name] = dict(values[name])
    return table


def write_history(folder: Path, history: list[dict[str, float]]) -> None:
    """Write ``metrics.csv`` with a row for each epoch, whichever tracker the run used.

    Columns that callbacks wrote to an existing table are kept, with each epoch's last value.
    """
    path = folder / METRICS
    columns, written = read_table(path)
    names = ["epoch", *dict.fromkeys(name for row in history for name in row)]
    extra: dict[int, dict[str, Any]] = {}
    for line in written:
        others = {name: value for name, value in line.items() if value and name not in names}
        extra.setdefault(int(line["epoch"]), {}).update(others)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*names, *(name for name in columns if name not in names)])
        writer.writeheader()
        for epoch, row in enumerate(history, start=1):
            writer.writerow({"epoch": epoch, **row, **extra.get(epoch, {})})


def write_validations(folder: Path, rows: list[dict[str, float]]) -> None:
    """Write ``validations.csv`` with a row for each validation after steps, if there are any."""
    if not rows:
        return
    names = list(dict.fromkeys(name for row in rows for name in ("step", *row)))
    with (folder / VALIDATIONS).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def write_weights(folder: Path, model: nn.Module) -> None:
    """Write the trained weights, a ``state_dict``, to ``model.pt``."""
    torch.save(model.state_dict(), folder / WEIGHTS)


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Write the metrics on validation or test data to a JSON file."""
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
