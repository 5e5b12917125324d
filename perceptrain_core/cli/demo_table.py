"""The second part of the demo: from a table to a model in use, by one command after the other."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter

from perceptrain_core.data.tables.read import read_columns
from perceptrain_core.data.tables.survey import survey_table
from perceptrain_core.reports.page import write_report
from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.draft import draft_run_file
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.trained.load_run import load_run
from perceptrain_core.trained.write_predictions import write_predictions

TABLE, NEW, RUN_FILE, PREDICTED = "tumours.csv", "new.csv", "tumours.toml", "predicted.csv"
LABEL = "diagnosis"
_NEW_ROWS = 100


def commands(folder: Path) -> list[str]:
    """Return the commands that do what this part of the demo does."""
    run = folder / "tumours"
    return [
        f"perceptrain init {folder / TABLE} --label {LABEL} -o {folder / RUN_FILE}",
        f"perceptrain train {folder / RUN_FILE}",
        f"perceptrain test {run} {folder / NEW}",
        f"perceptrain predict {run} {folder / NEW} -o {folder / PREDICTED}",
        f"perceptrain report {run}",
    ]


def use_table(folder: Path) -> tuple[str, str, float]:
    """Write a table and rows that the training does not see; train, test, predict and report.

    Args:
        folder: The folder for all files.

    Returns:
        The name of the loss, the result as text, and the seconds that it took.
    """
    _write_tables(folder)
    start = perf_counter()
    path = folder / RUN_FILE
    survey = survey_table(read_columns(folder / TABLE), [LABEL])
    path.write_text(draft_run_file(TABLE, survey), encoding="utf-8")
    run = build_run(read_run_file(path, [f"train.root_folder={str(folder)!r}"]), path)
    trained_folder = run.train()
    run.test()
    run.write_predictions()
    trained = load_run(trained_folder)
    accuracy = trained.test(folder / NEW)["test_accuracy"]
    write_predictions(trained.predict_in_batches(folder / NEW), folder / PREDICTED)
    write_report([trained_folder], None)
    seconds = perf_counter() - start
    return "cross_entropy", f"accuracy {accuracy:.3f} on {_NEW_ROWS} new rows", seconds


def _write_tables(folder: Path) -> None:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    rows = [
        [*values, data.target_names[number]]
        for values, number in zip(data.data, data.target, strict=True)
    ]
    names = [*data.feature_names, LABEL]
    _write(folder / TABLE, names, rows[:-_NEW_ROWS])
    _write(folder / NEW, names, rows[-_NEW_ROWS:])


def _write(path: Path, names: list[str], rows: Iterable[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
