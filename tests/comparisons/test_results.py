"""Means and deviations, against NumPy."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from perceptrain_core.comparisons.jobs import Job
from perceptrain_core.comparisons.results import Result, make_rows, write_tables
from perceptrain_core.comparisons.settings import Setting


def result(loss: str, seed: int, value: float, error: str = "") -> Result:
    variant = (Setting("loss", loss, f"loss={loss}"),)
    job = Job(variant, seed, None, Path("run.toml"), (), f"{loss}-{seed}", {})
    return Result(job, {} if error else {"val_rmse": value}, 1.0, error)


def test_rows_have_the_mean_and_the_sample_deviation() -> None:
    a, b = [3.0, 4.5, 9.0], [1.0, 2.0, 6.5]
    results = [result("mse", i, v) for i, v in enumerate(a)]
    results += [result("l1", i, v) for i, v in enumerate(b)]
    rows = make_rows(results, "rmse", higher=False)
    assert [row.label for row in rows] == ["l1", "mse"]
    for row, values in zip(rows, (b, a), strict=True):
        assert row.mean["val_rmse"] == pytest.approx(np.mean(values))
        assert row.std["val_rmse"] == pytest.approx(np.std(values, ddof=1))
    assert make_rows(results, "rmse", higher=True)[0].label == "mse"


def test_a_single_run_has_no_deviation() -> None:
    (row,) = make_rows([result("mse", 0, 2.0)], "rmse", higher=False)
    assert row.std == {}


@pytest.mark.parametrize("higher", [True, False])
def test_failures_and_nan_come_last(higher: bool) -> None:
    results = [result("a", 0, 0.0, "no"), result("b", 0, float("nan")), result("c", 0, 5.0)]
    rows = make_rows(results, "rmse", higher)
    assert rows[0].label == "c"
    assert next(row for row in rows if row.label == "a").errors == ["a, seed 0: no"]


def test_the_best_run_file_trains_beside_the_comparison(tmp_path: Path) -> None:
    folder, best = tmp_path / "run-compare", result("mse", 0, 1.0)
    (folder / best.job.name).mkdir(parents=True)
    text = (
        'loss = "../../code.py:loss"\n[model]\nname = "ffnn"\n'
        '[data]\nfile = "../../t.csv"\nlabels = "y"\nfolds = 2\nfold = 1\n'
        f'[train]\nroot_folder = "{folder}"\nlog_folder = "x"\n'
    )
    (folder / best.job.name / "run.toml").write_text(text)
    write_tables(folder, [best], make_rows([best], "rmse", False), "rmse", False)
    tables = tomllib.loads((folder / "best.toml").read_text())
    assert tables["train"] == {"root_folder": str(tmp_path), "log_folder": "run-compare-best"}
    assert tables["data"] == {"file": "../t.csv", "labels": "y", "folds": 2}
    assert tables["loss"] == "../code.py:loss"
