"""``perceptrain train`` as a person calls it: what it leaves, prints, and how it ends."""

from __future__ import annotations

import csv
import json
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file

from .conftest import MAIN, invoke

pytestmark = pytest.mark.timeout(120)

#: What is printed before the code of the run file is imported.
IMPORTS = "Imports ./code.py (rows)\n\n"
PNG = b"\x89PNG\r\n\x1a\n"
RUN = """
[model]
name = "ffnn"
layers = [2, 8, 1]
[data]
name = "./code.py:rows"
val_fraction = 0.2
test_fraction = 0.1
[optimizer]
name = "adam"
lr = 0.05
[train]
max_iter = 10
batch_size = 8
seed = 3
"""
CODE = """
import torch

def rows():
    x = torch.rand(40, 2)
    return x, x.sum(dim=1, keepdim=True)

def broken(batch, model, *, start=0.0):
    x, y = batch
    fit = (model(x) - y).square().mean()
    bad = fit * torch.tensor(start).log()
    return fit + bad, {"fit": fit, "penalty": bad}

def warns(batch, model):
    import warnings
    warnings.warn("mind\\nthis")
    return (model(batch[0]) - batch[1]).square().mean(), {}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a run file and the code it names, where the command is called."""
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(RUN)
    Path("code.py").write_text(CODE)
    return tmp_path


@pytest.fixture
def train(here, site):
    return lambda *args: site.run("train", "run.toml", *args)


def epochs(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


# What a run leaves and says


@pytest.mark.slow
def test_a_run_leaves_all_of_it(train, here):
    done = train()
    assert (done.returncode, done.stderr) == (0, "")
    folder = here / "runs" / "run"
    assert {path.name for path in folder.iterdir()} == {
        "run.toml",
        "run.json",
        "metrics.csv",
        "model.pt",
        "predictions.csv",
        "val.json",
        "test.json",
        "curves.png",
        *(f"checkpoint_epoch_{epoch:06d}.pt" for epoch in (8, 9, 10)),
    }
    assert (folder / "curves.png").read_bytes().startswith(PNG)
    run = build_run(read_run_file(Path("run.toml"), ["train.verbose=false"]), Path("run.toml"))
    run.trainer.fit()
    rows = epochs(folder)
    assert [{k: float(v) for k, v in row.items() if k != "epoch"} for row in rows] == [
        pytest.approx(row, rel=1e-6) for row in run.trainer.history
    ]
    assert done.stdout.startswith(IMPORTS)
    lines = done.stdout.removeprefix(IMPORTS).splitlines()
    data = "data code.py:rows train 28 rows, val 8 rows, test 4 rows"
    assert lines[4].split() == data.split()
    assert sum(line.startswith("epoch ") for line in lines) == 10
    assert lines[-2:] == [
        "The results of this run are in runs/run",
        "Next: perceptrain report runs/run",
    ]
    assert any(line.startswith("test_loss  ") for line in lines)


@pytest.mark.slow
def test_a_second_run_goes_beside_the_first(here):
    for name in ("run", "run/run-2", "run/run-3"):
        result = invoke("train", "run.toml", "--set", "train.max_iter=1")
        assert result.exit_code == 0
        assert f"\nThe results of this run are in runs/{name}\n" in result.stdout
        assert result.stdout.endswith(f"Next: perceptrain report runs/{name}\n")


@pytest.mark.slow
def test_warnings_are_lines_without_a_place(train, here):
    done = train("--resume", "--set", "loss=./code.py:warns")
    assert done.returncode == 0
    first, *others = done.stderr.splitlines()
    assert first.startswith("Warning: Nothing to resume: no checkpoint in ")
    assert others == ["Warning: mind this"]
    assert len(epochs(here / "runs" / "run")) == 10


def test_a_dry_run_leaves_nothing(train, here):
    before = sorted(here.rglob("*"))
    done = train("--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(here.rglob("*")) == before
    assert done.stdout.endswith("Dry run passed: one batch was evaluated, no files were written.\n")
    assert [line.split()[0] for line in done.stdout.splitlines()[11:13]] == [
        "train_loss",
        "val_loss",
    ]


def test_silent_runs_print_the_folder_alone(here):
    silent = "--set", "train.verbose=false"
    result = invoke("train", "run.toml", *silent)
    assert (result.exit_code, result.output) == (0, "runs/run\n")
    result = invoke("train", "run.toml", *silent, "--dry-run")
    assert (result.exit_code, result.output) == (0, "")


def test_without_matplotlib_a_note_says_so(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = invoke("train", "run.toml", "--set", "train.max_iter=1")
    assert done.exit_code == 0
    line, *_ = done.stderr.splitlines()
    assert line.startswith("The curves were not plotted. ")
    assert line.endswith('pip install "perceptrain-core[plot]".')
    assert (here / "runs" / "run" / "model.pt").is_file()
    assert not list(here.rglob("*.png"))


@pytest.mark.parametrize("extra", [[], ["--dry-run"]])
def test_no_epochs_at_all(here, extra):
    result = invoke("train", "run.toml", "--set", "train.max_iter=0", *extra)
    assert (result.exit_code, result.stderr) == (0, "")


# How it ends otherwise


def test_a_loss_that_is_nan_names_the_term(train, here):
    done = train("--set", "loss={name = './code.py:broken', start = -1.0}")
    assert done.returncode == 1
    assert 1 <= len(done.stderr.splitlines()) <= 2
    assert done.stderr.startswith("Error: ")
    assert "penalty" in done.stderr
    assert not (here / "runs" / "run" / "model.pt").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["none.toml"], "The run file none.toml cannot be read"),
        (["."], "is a run folder; expected a run file, such as the one in it, run.toml."),
        (["run.toml", "--set", "nonsense"], "expected TABLE.KEY=VALUE"),
        (["run.toml", "--set", "optimzer.lr=1"], "optimzer: unknown setting; did you"),
        (["run.toml", "--set", "loss=msee"], "run.toml, [loss]: "),
        (["run.toml", "--set", "optimizer.lr=-1"], "[optimizer]: The optimizer 'adam' cannot be"),
        (["run.toml", "--set", "optimizer.lr=.01"], "'.01' is not TOML; write 0.01, or"),
        (["run.toml", "optimizer.lr=1"], "write --set TABLE.KEY=VALUE"),
        (
            ["run.toml", "--set", "train.val_every=1", "--set", "data.val_fraction=0"],
            "val_fraction",
        ),
        (["run.toml", "--set", f"x={'[' * 5000}"], "nested more than 100 deep"),
        (["run.toml", "--set", f"optimizer.lr={'1' * 5000}"], "more than 64 bits"),
        (["run.toml", "--set", "train.max_iter=-1"], "max_iter: input should be greater"),
        ([], "Missing argument"),
    ],
)
def test_a_wrong_call_is_code_2_and_leaves_nothing(here, args, message):
    before = sorted(here.rglob("*"))
    result = invoke("train", *args)
    assert (result.exit_code, result.stdout.removeprefix(IMPORTS)) == (2, "")
    assert message in result.stderr
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) <= 3
    assert sorted(here.rglob("*")) == before


def test_a_lazy_model_has_no_size_yet(here):
    lazy = "from torch import nn\ndef lazy():\n    return nn.LazyLinear(1)\n"
    Path("code.py").write_text(CODE + lazy)
    result = invoke("train", "run.toml", "--set", "model=./code.py:lazy", "--dry-run")
    assert result.exit_code == 0
    assert "lazy: the first batch sets the number" in result.stdout


def test_an_error_in_the_users_file_names_its_line(here, train):
    Path("code.py").write_text(f"{CODE}\ndef buggy(batch, model):\n    return batch['x'], {{}}\n")
    line = len(Path("code.py").read_text().splitlines())
    done = train("--set", "loss=./code.py:buggy")
    assert done.returncode == 1
    first, *rest = done.stderr.splitlines()
    assert first.startswith(f"Unexpected error (code.py, line {line}): TypeError: ")
    assert "This was the first call of the loss" in rest[0]  # the hint, but no traceback
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("monitor", "code"), [("val_los", 1), ("val_loss", 0)])
def test_a_dry_run_checks_what_callbacks_monitor(here, monitor, code):
    Path("run.toml").write_text(
        f'{RUN}[[callbacks]]\nname = "early_stopping"\nmonitor = "{monitor}"\n'
    )
    result = invoke("train", "run.toml", "--dry-run")
    assert result.exit_code == code
    assert ("monitors 'val_los', which this run does not have" in result.stderr) == bool(code)


def test_the_traceback_is_for_those_who_ask(here, site):
    done = site.run("--debug", "train", "run.toml", "--set", "optimizer.lr=-1")
    assert (done.returncode, done.stdout) == (2, IMPORTS)
    assert "Traceback (most recent call last)" in done.stderr
    assert "ValueError: Invalid learning rate" in done.stderr


@pytest.mark.slow
def test_stopped_by_a_signal_and_resumed_ends_as_if_it_had_not_been(here, site):
    options = ["--set", "train.max_iter=120", "--set", "train.checkpoint_every=25"]
    options += ["--set", "train.seed=1", "--set", "train.print_every=0"]
    process = site.forks.start(*MAIN, "train", "run.toml", *options, env=site.environ())
    folder = here / "runs" / "run"
    metrics = folder / "metrics.csv"
    try:
        _wait_for(lambda: metrics.exists() and len(metrics.read_text().splitlines()) > 5)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, stderr) == (143, "")
    assert ": resume from it with --resume." in stdout
    assert len(epochs(folder)) < 120
    assert invoke("train", "run.toml", *options, "--resume").exit_code == 0
    assert invoke("train", "run.toml", *options).exit_code == 0
    whole = here / "runs" / "run" / "run-2"
    assert (folder / "model.pt").read_bytes() == (whole / "model.pt").read_bytes()
    assert epochs(folder) == epochs(whole)


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_reached(here, site):
    endless = ["--set", "train.max_iter=10000000", "--set", "train.checkpoint_every=2"]
    process = site.forks.start(*MAIN, "train", "run.toml", *endless, env=site.environ())
    metrics = here / "runs" / "run" / "metrics.csv"
    try:
        _wait_for(lambda: metrics.exists() and len(metrics.read_text().splitlines()) > 5)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, stderr) == (130, "")
    assert re.search("Interrupted (in|after) epoch ", stdout)
    assert stdout.endswith("The results of this run are in runs/run\n")
    done = len(epochs(metrics.parent))
    assert done >= 5
    assert {"model.pt", "curves.png", "test.json"} <= {p.name for p in metrics.parent.iterdir()}
    result = invoke("train", "run.toml", "--resume", "--set", f"train.max_iter={done + 2}")
    assert result.exit_code == 0
    assert len(epochs(metrics.parent)) == done + 2


def _wait_for(ready, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def test_a_resume_with_other_options_is_refused(train, here):
    assert train("--set", "train.max_iter=2").returncode == 0
    kept = (here / "runs/run/run.toml").read_text()
    done = train("--resume", "--set", "optimizer.lr=0.5")
    assert done.returncode == 2
    assert "has other options in [optimizer]. A resumed run must use the same ones" in done.stderr
    assert (here / "runs/run/run.toml").read_text() == kept


# Cross-validation


@pytest.mark.slow
def test_folds_are_trained_and_their_means_printed(here, train):
    folds = "--set", "data.folds=2", "--set", "data.val_fraction=0", "--set", "train.max_iter=2"
    dry = train(*folds, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert not (here / "runs").exists()
    done = train(*folds)
    assert done.returncode == 0, done.stderr
    assert "Fold 2 of 2: train 18 rows, val 18 rows, test 4 rows" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("val_loss")]
    results = json.loads((here / "runs/run/folds.json").read_text())
    mean, std = results["mean"]["val_loss"], results["std"]["val_loss"]
    assert line.split() == ["val_loss", f"{mean:.6g}", f"{std:.3g}"]
    assert done.stdout.endswith("The results of these runs are in runs/run\n")
    assert (here / "runs/run/fold_2/curves.png").read_bytes().startswith(PNG)
    again = train(*folds, "--resume", "--set", "train.verbose=false")
    assert (again.stdout, again.returncode) == ("runs/run\n", 0), again.stderr


FOLDS = ("--set", "data.folds=3", "--set", "data.val_fraction=0.0")


@pytest.mark.parametrize("folds", [(), FOLDS])
@pytest.mark.parametrize(
    ("option", "table"),
    [
        ("model.activation=1", "[model]"),
        ("loss.what=1", "[loss]"),
        ("optimizer.lr=-1", "[optimizer]"),
    ],
)
def test_a_bad_option_is_reported_before_anything_starts(train, here, folds, option, table):
    done = train("--set", option, *folds)
    assert (done.returncode, done.stdout) == (2, IMPORTS)
    assert f"run.toml, {table}" in done.stderr
    assert not (here / "runs").exists()


@pytest.mark.parametrize("folds", [(), FOLDS])
def test_a_bad_option_that_the_first_batch_shows_leaves_no_folder(train, here, folds):
    done = train("--set", 'loss={"name" = "mse", "reduction" = "none"}', *folds)
    assert done.returncode == 2
    assert "run.toml, [loss]: A loss must be one number: reduction='none'" in done.stderr
    assert not (here / "runs").exists()


def test_an_error_while_training_names_the_fold(train):
    done = train("--set", "loss=./code.py:broken", *FOLDS)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "This happened in fold 1 of 3."


def test_a_folder_that_was_there_before_a_failed_run_is_kept(train, here):
    (here / "runs" / "run").mkdir(parents=True)
    assert train("--set", 'loss={"name" = "mse", "reduction" = "none"}').returncode == 2
    assert [path.name for path in (here / "runs").rglob("*")] == ["run"]
