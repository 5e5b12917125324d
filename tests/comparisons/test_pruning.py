"""Trials that are pruned: as the median rule by hand says, shown as such, and not repeated."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from typer.testing import CliRunner

from perceptrain_core.cli.main import app

from ..forked import ForkServer

COMPARE = ["-m", "perceptrain_core.cli.main", "compare", "run.toml"]
SPACE = ["--set", "optimizer.lr=1e-5..1e-1", "--set", "train.max_iter=4", "--jobs", "1"]
SEARCH = [*COMPARE, "--trials", "10", *SPACE, "--prune", "median"]
FOLDER = Path("runs/run-search")


def trials() -> list[FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(FOLDER / "study.log")))
    return optuna.load_study(study_name="search", storage=storage).trials


def pruned_by_hand(trial: FrozenTrial, earlier: list[FrozenTrial]) -> int:
    """Return the epoch at which the best value so far is above the median of the others."""
    whole = [other for other in earlier if other.state == TrialState.COMPLETE]
    if len(whole) < 5:
        return 0
    for epoch in sorted(trial.intermediate_values):
        best = min(v for step, v in trial.intermediate_values.items() if step <= epoch)
        if best > np.median([other.intermediate_values[epoch] for other in whole]):
            return epoch
    return 0


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_trials_are_pruned_by_the_median_and_kept(forks: ForkServer) -> None:
    done = forks.run(*SEARCH)
    assert done.returncode == 0, done.stderr
    found = trials()
    pruned = [t for t in found if t.state == TrialState.PRUNED]
    assert 0 < len(pruned) < 6
    for number, trial in enumerate(found):
        expected = pruned_by_hand(trial, found[:number])
        assert (max(trial.intermediate_values) if trial in pruned else 0) == expected
    with (FOLDER / "results.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["pruned"]]
    assert len(rows) == len(pruned)
    for row in rows:
        state = json.loads((FOLDER / row["run"] / ".compare.json").read_text())
        assert state["pruned"] == int(row["pruned"])
        assert "figures" not in state
        with (FOLDER / row["run"] / "metrics.csv").open() as file:
            assert len(list(csv.DictReader(file))) == state["pruned"]
        assert f"pruned after epoch {row['pruned']} (" in done.stdout
    table = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("lr=")]
    assert table == sorted(table[: -len(pruned)], key=float) + ["pruned"] * len(pruned)
    listed = CliRunner().invoke(app, ["runs", str(FOLDER)]).stdout
    marked = {line.split()[0] for line in listed.splitlines() if " (pruned) " in line}
    assert marked == {row["run"] for row in rows}

    weights = {path: path.stat().st_mtime_ns for path in FOLDER.glob("*/model.pt")}
    again = forks.run(*SEARCH)
    assert again.stdout.count("(kept)") == 10
    assert {path: path.stat().st_mtime_ns for path in FOLDER.glob("*/model.pt")} == weights
    assert len(trials()) == 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trials", "3", "--prune", "medain"], "Did you mean 'median'"),
        (["--trials", "3", "--prune", "median", "--seeds", "2"], "one run for each trial"),
        (
            ["--trials", "3", "--prune", "median", "--set", "train.nprocs=2"],
            "leave nprocs out",
        ),
        (["--prune", "median"], "add --trials N"),
    ],
)
@pytest.mark.usefixtures("forked_workers")
def test_what_cannot_be_pruned(options: list[str], message: str) -> None:
    space = ["--set", "optimizer.lr=1e-3..1e-1"] if "--trials" in options else []
    done = CliRunner().invoke(app, ["compare", "run.toml", *space, *options])
    assert done.exit_code == 2, done.stdout
    assert message in " ".join(done.stderr.split())
