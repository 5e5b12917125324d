"""``runs``, ``report`` and ``compare`` show one figure of a run: that of the weights it holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from perceptrain_core.comparisons.comparison import Comparison
from perceptrain_core.comparisons.plan import make_plan
from perceptrain_core.comparisons.run_list import list_runs
from perceptrain_core.data.files.splits import rows_of_tensors
from perceptrain_core.reports.comparison import figures, results_table
from perceptrain_core.reports.reported_run import read_run
from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.trained.load_run import load_run

from .conftest import RUN

STOPPING = """
[[callbacks]]
name = "early_stopping"
monitor = "val_loss"
patience = 3
restore_best = true
"""
CASES = {
    "plain": ("", "last"),
    "stopping": (STOPPING, "best"),
    "saving": ('[[callbacks]]\nname = "save_best_checkpoint"\n', "last"),
    "seldom": ("val_every = 3\n", "last"),
    "average": ("ema = 0.5\n", "average"),
}


def by_hand(folder: Path) -> float:
    """Return the mean squared error of the weights in a folder on its validation rows."""
    run = build_run(read_run_file(folder / "run.toml"), folder / "run.toml")
    inputs, labels = rows_of_tensors(run.splits.val) or ()
    with torch.no_grad():
        return float((load_run(folder, trust=True).model(inputs) - labels).square().mean())


def shown(folder: Path) -> dict[str, float]:
    """Return the validation loss of a run by the name of what shows it."""
    (listed,) = [run for run in list_runs(folder.parent) if run.name == folder.name]
    record = read_run(folder, "run")
    table = results_table([record, record])
    return {
        "runs": listed.val["val_loss"],
        "report": figures(record)["val_loss"].value,
        "reports": table.rows[0][1][table.head.index("val_loss") - 1].value,
    }


@pytest.mark.slow
@pytest.mark.usefixtures("forked_jobs")
@pytest.mark.parametrize("case", CASES)
def test_a_run_has_one_figure_and_it_is_of_its_weights(here: Path, case: str) -> None:
    more, weights = CASES[case]
    text = RUN.replace("lr = 0.05", "lr = 0.3").replace("max_iter = 4", "max_iter = 10") + more
    path = here / "run.toml"
    path.write_text(text)
    run = build_run(read_run_file(path, ["train.seed=0", "train.verbose=false"]), path)
    folder = run.train()
    evaluated = run.evaluate()["val_loss"]
    saved = json.loads((folder / "run.json").read_text())
    assert saved["weights"] == weights
    assert (saved["epoch"] < len(run.trainer.history)) == (weights == "best")
    assert evaluated == pytest.approx(by_hand(folder), rel=1e-5)
    assert set(shown(folder).values()) == {evaluated}

    results = Comparison(make_plan(path, [], [()]), here / "runs" / "all", 1, lambda *_: None)
    plan = results.plan
    results.train(plan.jobs_of(()))
    (row,) = results.rows
    assert row.errors == []
    assert set(shown(here / "runs" / "all" / row.folder).values()) == {row.mean["val_loss"]}
    assert row.mean["val_loss"] == pytest.approx(evaluated, rel=1e-4)


def test_a_resume_measures_again(here: Path) -> None:
    path = here / "run.toml"
    run = build_run(read_run_file(path, ["train.seed=0", "train.verbose=false"]), path)
    before = run.evaluate() if run.train() else {}
    more = build_run(
        read_run_file(path, ["train.seed=0", "train.verbose=false", "train.max_iter=9"]), path
    )
    folder = more.train(resume=True)
    assert not (folder / "val.json").exists()
    after = more.evaluate()["val_loss"]
    assert after == pytest.approx(by_hand(folder), rel=1e-5)
    assert set(shown(folder).values()) == {after}
    assert after != before["val_loss"]
