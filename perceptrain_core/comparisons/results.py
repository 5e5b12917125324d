"""The figures of a comparison: one row for each run, and means over the runs of a variant."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import tomli_w

from perceptrain_core.comparisons.jobs import Job, label_of
from perceptrain_core.comparisons.plan import sort_key
from perceptrain_core.comparisons.settings import Variant
from perceptrain_core.runs.data_paths import data_with_paths
from perceptrain_core.runs.file_names import COMPARISON, RUN_FILE
from perceptrain_core.runs.paths import absolute_references, relative_path, relative_references
from perceptrain_core.runs.read import read_run_file

RESULTS, BEST = "results.csv", "best.toml"


@dataclass
class Result:
    """A run that is finished, failed or pruned.

    Attributes:
        job: The run.
        figures: Its figures, if it is finished.
        seconds: How long it took.
        error: Why it failed, if it did.
        pruned: The epoch after which a search stopped it; 0 if it did not.
    """

    job: Job
    figures: dict[str, float]
    seconds: float = 0.0
    error: str = ""
    pruned: int = 0


@dataclass
class Row:
    """A variant over its seeds and folds.

    Attributes:
        variant: The variant.
        mean: The mean of each figure over the runs.
        std: The sample standard deviation; missing for a single run.
        runs: How many runs are finished.
        errors: The errors of the others.
        folder: The folder of its first run.
        pruned: The epoch after which a search stopped its run; 0 if it did not.
    """

    variant: Variant
    mean: dict[str, float] = field(default_factory=dict)
    std: dict[str, float] = field(default_factory=dict)
    runs: int = 0
    errors: list[str] = field(default_factory=list)
    folder: str = ""
    pruned: int = 0

    @property
    def label(self) -> str:
        """The variant in words."""
        return label_of(self.variant)


def make_row(variant: Variant, results: Iterable[Result]) -> Row:
    """Average the figures of a variant's runs."""
    results = list(results)
    good = [result for result in results if not (result.error or result.pruned)]
    names = dict.fromkeys(name for result in good for name in result.figures)
    values = {n: [r.figures[n] for r in good if n in r.figures] for n in names}
    return Row(
        variant,
        mean={name: fmean(found) for name, found in values.items()},
        std={name: stdev(found) for name, found in values.items() if len(found) > 1},
        runs=len(good),
        errors=[f"{result.job.label}: {result.error}" for result in results if result.error],
        folder=good[0].job.name if good else "",
        pruned=max((result.pruned for result in results), default=0),
    )


def make_rows(results: Iterable[Result], by: str, higher: bool) -> list[Row]:
    """Return a row for each variant, the best first; ``by`` is a name such as ``"rmse"``."""
    found: dict[Variant, list[Result]] = {}
    for result in results:
        found.setdefault(result.job.variant, []).append(result)
    rows = [make_row(variant, own) for variant, own in found.items()]
    return sorted(rows, key=lambda row: sort_key(row.mean.get(f"val_{by}"), higher))


def write_tables(
    folder: Path, results: list[Result], rows: list[Row], by: str, higher: bool
) -> None:
    """Write ``results.csv``, ``table.json`` and, of the best variant, ``best.toml``."""
    _write_results(folder / RESULTS, results)
    table = {
        "compared": f"val_{by}",
        "higher_is_better": higher,
        "variants": [_as_json(row) for row in rows],
    }
    (folder / COMPARISON).write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    if rows and f"val_{by}" in rows[0].mean:
        _write_best(folder, rows[0])


def _write_results(path: Path, results: list[Result]) -> None:
    settings = dict.fromkeys(s.key for result in results for s in result.job.variant)
    figures = dict.fromkeys(name for result in results for name in result.figures)
    names = ["run", *settings, "seed", "fold", *figures, "seconds", "error", "pruned"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for result in results:
            own = {setting.key: setting.text for setting in result.job.variant}
            seed = {"run": result.job.name, "seed": result.job.seed, "fold": result.job.fold}
            end = {"seconds": result.seconds, "error": result.error, "pruned": result.pruned or ""}
            writer.writerow({**own, **seed, **result.figures, **end})


def _as_json(row: Row) -> dict[str, Any]:
    return {
        "variant": row.label,
        "settings": {setting.key: setting.text for setting in row.variant},
        "runs": row.runs,
        "mean": row.mean,
        "std": row.std,
        "errors": row.errors,
        "folder": row.folder,
        "pruned": row.pruned,
    }


def _write_best(folder: Path, row: Row) -> None:
    """Write the run file of the best variant, without the fold of its first run."""
    path = folder / row.folder / RUN_FILE
    tables = absolute_references(
        tomllib.loads(path.read_text(encoding="utf-8")), path.parent.absolute()
    )
    tables = relative_references(tables, folder.absolute())
    tables["data"].pop("fold", None)
    for key, value in data_with_paths(read_run_file(path).data).items():
        if isinstance(value, Path):
            tables["data"][key] = relative_path(value, folder.absolute())
    place = {"root_folder": str(folder.parent), "log_folder": f"{folder.name}-best"}
    tables["train"].update(place)  # beside the comparison, not inside it
    (folder / BEST).write_text(tomli_w.dumps(tables), encoding="utf-8")
