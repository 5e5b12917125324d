"""A search: within its ranges, and going on where it stopped."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ..forked import ForkServer

SEARCH = ["-m", "perceptrain_core.cli.main", "compare", "run.toml", "--trials"]
SPACE = ["--set", "optimizer.lr=1e-3..1e-1", "--set", "train.batch_size=4..9", "--jobs", "1"]
SPACE += ["--set", "loss=mse,huber", "--set", "train.max_iter=2"]
FOLDER = Path("runs/run-search")
BREAKABLE = """

def breakable(batch, model):
    from pathlib import Path

    if Path(__file__).with_name("broken").exists() and model.training:
        raise ValueError("broken on purpose")
    return torch.nn.functional.mse_loss(model(batch[0]), batch[1]), {}
"""


def rows() -> dict[str, dict[str, str]]:
    with (FOLDER / "results.csv").open() as file:
        return {row["run"]: row for row in csv.DictReader(file)}


def search(forks: ForkServer, trials: int) -> None:
    done = forks.run(*SEARCH, str(trials), *SPACE)
    assert done.returncode == 0, done.stderr


def trials() -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(FOLDER / "study.log")))
    return optuna.load_study(study_name="search", storage=storage).trials


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_search_stays_in_its_ranges_and_goes_on(forks: ForkServer) -> None:
    search(forks, 2)
    first = rows()
    times = {name: (FOLDER / name / "model.pt").stat().st_mtime_ns for name in first}
    # As a process leaves it that is killed during a trial.
    storage = JournalStorage(JournalFileBackend(str(FOLDER / "study.log")))
    study = optuna.load_study(study_name="search", storage=storage)
    trial = study.ask()
    trial.suggest_float("optimizer.lr", 1e-3, 1e-1, log=True)
    trial.suggest_int("train.batch_size", 4, 9)
    trial.suggest_categorical("loss", ["mse", "huber"])

    search(forks, 4)
    found = rows()
    assert len(found) == 4
    assert {name: (FOLDER / name / "model.pt").stat().st_mtime_ns for name in first} == times
    for row in found.values():
        assert 1e-3 <= float(row["optimizer.lr"]) <= 1e-1
        assert int(row["train.batch_size"]) in range(4, 10)
        assert row["loss"] in ("mse", "huber")
    complete = [t for t in trials() if t.state == optuna.trial.TrialState.COMPLETE]
    assert len(complete) == 4
    assert trial.params in [t.params for t in complete]
    best = json.loads((FOLDER / "table.json").read_text())["variants"][0]
    values = [t.value for t in complete if t.value is not None]
    assert best["mean"]["val_rmse"] == pytest.approx(min(values))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_failed_trials_are_reported_and_trained_again(here: Path, forks: ForkServer) -> None:
    code = (here / "code.py").read_text()
    (here / "broken").touch()
    (here / "code.py").write_text(code + BREAKABLE)
    command = [*SEARCH, "4", "--set", "loss=mse,./code.py:breakable", "--jobs", "1"]
    command += ["--search-seed", "1", "--set", "train.max_iter=2"]
    for _ in range(2):  # a trial that failed twice counts once
        done = forks.run(*command)
        assert done.returncode == 1, done.stderr
        assert done.stdout.count("failed: ValueError: broken on purpose") == 1
        assert "1 of 2 runs failed" in done.stderr
    (here / "broken").unlink()
    done = forks.run(*command)
    assert done.returncode == 0, done.stderr
    complete = [t for t in trials() if t.state == optuna.trial.TrialState.COMPLETE]
    again = [t for t in complete if t.params["loss"] != "mse"]
    assert len(complete) == 4
    assert 0 < len(again) < 4
    failed = [t for t in trials() if t.state == optuna.trial.TrialState.FAIL]
    assert len(failed) == 2 * len(again)
