"""``perceptrain compare`` and ``perceptrain runs`` as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .test_listing import in_terminal
from .test_train import CODE, RUN

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(RUN)
    Path("code.py").write_text(CODE)
    return tmp_path


@pytest.fixture
def compare(here, site):
    return lambda *args: site.run("compare", "run.toml", *args)


@pytest.mark.slow
def test_a_table_a_picture_and_a_list(compare, site):
    done = compare("--loss", "mse", "--loss", "l1", "--loss", "./code.py:broken", "--jobs", "1")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "3 variants, 3 runs in 1 process"
    head = next(number for number, line in enumerate(lines) if line.startswith("VARIANT"))
    assert lines[head].split() == ["VARIANT", "RMSE", "MAE", "R2", "RUNS"]
    values = [float(line.split()[1]) for line in lines[head + 1 : head + 3]]
    assert values == sorted(values)
    assert "Sorted by val_rmse (lower is better)." in done.stdout
    assert "Values of different losses are not comparable" in done.stdout
    assert done.stdout.count("./code.py:broken, seed 3: failed: ") == 1
    assert "broken" not in done.stderr
    assert "1 of 3 runs failed" in done.stderr
    folder = Path("runs/run-compare")
    (log,) = [path for path in (folder / "logs").iterdir() if "broken" in path.name]
    assert "Traceback" in log.read_text()
    assert "on_nonfinite" in log.read_text()
    assert (folder / "compare.png").read_bytes().startswith(b"\x89PNG")

    listed = site.run("runs", "--json")
    (entry,) = json.loads(listed.stdout)
    assert (entry["kind"], entry["runs"]) == ("comparison", 2)
    assert entry["val"]["val_rmse"] == pytest.approx(min(values), rel=1e-3)
    inside = site.run("runs", str(folder), "--filter", "loss=l1", "--filter", "train.seed=3.0")
    assert [line.split()[0] for line in inside.stdout.splitlines()] == ["NAME", "l1-seed_3"]
    by_rmse = json.loads(site.run("runs", str(folder), "--sort", "rmse", "--json").stdout)
    assert [run["val"].get("val_rmse", 9e9) for run in by_rmse] == sorted(
        run["val"].get("val_rmse", 9e9) for run in by_rmse
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--loss", "hubber"], "--loss hubber: There is no loss 'hubber'. Did you mean 'huber'?"),
        (["--loss", "mse", "--loss", "huber:delt=1"], "--loss huber:delt=1: run.toml, [loss]"),
        (["--set", "optimizer.lr=1e-3..1e-1"], "say with --trials"),
        (["--trials", "3"], "--trials needs something to search"),
        (["--loss", "mse", "--loss", "l1", "--by", "rsme"], "Did you mean 'rmse'?"),
        (["--set", "loss=mse,l1", "--loss", "mse"], "loss is varied twice"),
        (["--set", "data.val_fraction=0"], "needs validation data"),
    ],
)
def test_wrong_options_end_before_training(compare, arguments, message):
    done = compare(*arguments)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert not Path("runs").exists()


def test_a_dry_run_lists_the_variants_and_writes_nothing(compare):
    done = compare("--loss", "mse", "--loss", "l1", "--set", "optimizer.lr=0.1,0.2", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()[1:5]] == [
        ["mse", "lr=0.1", "good"],
        ["mse", "lr=0.2", "good"],
        ["l1", "lr=0.1", "good"],
        ["l1", "lr=0.2", "good"],
    ]
    assert not Path("runs").exists()


def test_wrong_lists(here, site):
    assert site.run("runs").returncode == 2
    Path("runs").mkdir()
    assert site.run("runs").stdout == "No runs in runs.\n"
    done = site.run("runs", "--filter", "lr=3")
    assert done.returncode == 2
    assert "expected KEY=VALUE" in done.stderr


@pytest.mark.slow
def test_figures_of_a_list_are_whole_in_a_narrow_terminal(here):
    folder = Path("runs/a_run_with_a_name_of_length_35_chars")
    folder.mkdir(parents=True)
    (folder / "run.toml").write_text('[model]\nname = "ffnn"\n[loss]\nname = "cross_entropy"\n')
    figures = {f"val_metric_{number}": -1234.0 - number for number in range(8)}
    (folder / "val.json").write_text(json.dumps(figures))
    lines = in_terminal(60, "runs")
    assert all(len(line) <= 60 for line in lines)
    for name, value in figures.items():
        assert any(f"{name} {value:.4g}" in line for line in lines), name
    assert len(in_terminal(60, "runs", COLUMNS="300")) == 2
