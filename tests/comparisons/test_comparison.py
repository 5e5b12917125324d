"""Real comparisons: what they train, against single runs; and how they go on after a stop."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from perceptrain_core.comparisons.comparison import Comparison, choose_folder
from perceptrain_core.comparisons.plan import Plan, make_plan
from perceptrain_core.comparisons.settings import Choices, read_parts, read_values, variants
from perceptrain_core.errors import ConfigError
from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file

from ..forked import ForkServer

pytestmark = pytest.mark.timeout(180)
RUN = Path("run.toml")
COMPARE = ["-m", "perceptrain_core.cli.main", "compare", "run.toml"]


CLASSES = ("data.name=wine", "model.layers=[13, 4, 3]", "data.scale_labels=false")


def plan(*losses: str, values: str = "", base: tuple[str, ...] = (), **options: object) -> Plan:
    choices = [read_parts("loss", losses)] if losses else []
    if values:
        found = read_values(values)
        assert isinstance(found, Choices)
        choices.append(found)
    return make_plan(RUN, list(base), list(variants(choices)), **options)  # type: ignore[arg-type]


def train(plan: Plan, jobs: int = 1) -> tuple[Comparison, list[str]]:
    """Train; also return the folders of the runs that were trained now."""
    wanted = [job for variant in plan.checked for job in plan.jobs_of(variant)]
    trained: list[str] = []
    comparison = Comparison(
        plan,
        choose_folder(plan.root, wanted),
        jobs,
        lambda result, earlier: None if earlier else trained.append(result.job.name),
    )
    comparison.train(wanted)
    comparison.write()
    return comparison, trained


@pytest.mark.slow
@pytest.mark.usefixtures("forked_jobs")
def test_runs_equal_those_of_train_and_means_those_of_numpy() -> None:
    made = plan("mse", "huber:delta=0.5", "./code.py:broken", seeds=2)
    assert (made.by, made.higher, made.metrics) == ("rmse", False, ["rmse", "mae", "r2"])
    comparison, trained = train(made, jobs=2)
    assert len(trained) == 6
    folder = comparison.folder
    assert folder == Path("runs/run-compare")

    with (folder / "results.csv").open() as file:
        table = {row["run"]: row for row in csv.DictReader(file)}
    loss = 'loss={name = "huber", delta = 0.5}'
    own = read_run_file(RUN, [loss, "train.seed=1", "metrics.rmse={}", "train.log_folder=alone"])
    run = build_run(own, RUN)
    run.train()
    figures = run.validate() | run.test()
    row = table["huber_delta_0.5-seed_1"]
    assert float(row["val_loss"]) == figures["val_loss"]
    assert float(row["test_rmse"]) == figures["test_rmse"]
    weights = torch.load(folder / row["run"] / "model.pt", weights_only=True)
    assert all(torch.equal(weights[k], v) for k, v in run.trainer.model.state_dict().items())

    # In the units of the labels, from the outputs for the scaled validation rows.
    inputs, labels = run.splits.val  # type: ignore[misc]
    with torch.no_grad():
        errors = run.trainer.model(inputs) - labels
    scale = run.preparation.output_module()  # type: ignore[union-attr]
    width = float(scale(torch.ones(1, 1)) - scale(torch.zeros(1, 1)))
    expected = float(errors.double().square().mean().sqrt()) * width
    assert figures["val_rmse"] == pytest.approx(expected, rel=1e-4)

    saved = json.loads((folder / "table.json").read_text())
    for variant in saved["variants"][:2]:
        label = variant["variant"]
        values = [float(r["val_rmse"]) for r in table.values() if r["loss"] == label]
        assert variant["mean"]["val_rmse"] == pytest.approx(np.mean(values))
        assert variant["std"]["val_rmse"] == pytest.approx(np.std(values, ddof=1))
    failed = saved["variants"][2]
    assert failed["runs"] == 0
    assert "broken on purpose" in failed["errors"][0]
    best = tomllib.loads((folder / "best.toml").read_text())
    assert best["loss"]["name"] == saved["variants"][0]["settings"]["loss"].partition(":")[0]


@pytest.mark.usefixtures("forked_jobs")
@pytest.mark.slow  # pruned searches and stopped comparisons go on, too
def test_a_second_call_trains_what_is_new_and_a_changed_file_goes_elsewhere() -> None:
    base = ("data.folds=2", "data.val_fraction=0.0", "train.max_iter=1")
    comparison, trained = train(plan("mse", base=base))
    assert trained == ["mse-seed_0-fold_1", "mse-seed_0-fold_2"] or len(trained) == 2
    again, trained = train(plan("mse", "l1", base=base))
    assert len(trained) == 2
    assert all(name.startswith("l1") for name in trained)
    assert again.folder == comparison.folder
    assert [row.runs for row in again.rows] == [2, 2]

    code = Path("code.py")
    code.write_text(code.read_text().replace("50 + 10", "50 + 20"))
    from perceptrain_core.comparisons import jobs

    jobs._digest.cache_clear()
    assert train(plan("mse", base=base))[0].folder == Path("runs/run-compare-2")


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_comparison_goes_on(ending: signal.Signals, forks: ForkServer) -> None:
    arguments = ["--loss", "mse", "--loss", "l1", "--jobs", "1", "--set", "train.max_iter=40"]
    arguments += ["--set", "train.checkpoint_every=2"]
    process = forks.start(*COMPARE, *arguments)
    folder = Path("runs/run-compare")
    _wait(lambda: any(folder.glob("*/checkpoint*.pt")))
    process.send_signal(ending)
    _, errors = process.communicate(timeout=60)
    if ending == signal.SIGINT:
        assert process.returncode == 130
        assert "Call the same command again to go on" in errors
    _wait(lambda: not _others_here())
    done = forks.run(*COMPARE, *arguments)
    assert done.returncode == 0, done.stderr
    saved = json.loads((folder / "table.json").read_text())
    assert sorted(variant["runs"] for variant in saved["variants"]) == [1, 1]
    # As if it had never stopped.
    alone = ["loss=mse", "train.max_iter=40", "train.seed=0", "metrics.rmse={}"]
    run = build_run(read_run_file(RUN, [*alone, "train.log_folder=alone"]), RUN)
    run.train()
    found = next(v for v in saved["variants"] if v["variant"] == "mse")
    assert found["mean"]["val_rmse"] == run.validate()["val_rmse"]


def _wait(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def _others_here() -> list[Path]:
    """The processes that still train in this folder."""
    here, found = str(Path.cwd()), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == here and process.name != str(os.getpid()):
                found.append(process)
        except OSError:
            continue
    return found


def test_figures_are_compared_that_mean_the_same_in_all_variants() -> None:
    with pytest.raises(ConfigError, match="--by loss: the losses differ"):
        plan("mse", "l1", by="loss")
    assert plan("mse", values="optimizer.lr=0.1,0.2", by="loss").by == "loss"
    made = plan("mse", "l1", by="explained_variance")
    assert (made.by, made.higher) == ("explained_variance", True)


def test_classes_are_compared_by_accuracy_even_if_a_loss_returns_its_own() -> None:
    made = plan("cross_entropy:accuracy=true", "multi_margin", base=CLASSES)
    assert (made.by, made.higher) == ("accuracy", True)
    assert all("accuracy" in checked.figures for checked in made.checked.values())


def test_outputs_that_are_more_than_the_labels_have_figures_too() -> None:
    base = ("model={name = 'ffnn', hidden = [4]}",)
    made = plan("mse", "gaussian_nll", "quantile:quantiles=[0.1,0.5,0.9]", base=base)
    assert not made.faults
    assert all("rmse" in checked.figures for checked in made.checked.values())


@pytest.mark.parametrize(
    ("losses", "base", "message"),
    [
        (["huber:delt=1"], (), "--loss huber:delt=1: .*delta"),
        (["mse"], ("data.val_fraction=0.0",), "needs validation data"),
        (["mse", "l1"], CLASSES, "Nothing can be compared, because a batch failed: .*shape"),
    ],
)
def test_wrong_options_are_reported_before_anything_is_trained(
    losses: list[str], base: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(*losses, base=base)
    assert not Path("runs").exists()
