"""A run file on a table with columns of events and times: train, test, predict, curves."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from perceptrain import load_run
from perceptrain.errors import ConfigError, DataError
from perceptrain_core.cli.main import app
from perceptrain_survival import BreslowBaseline, CoxLoss, kaplan_meier, survival_run, weibull_times

RUN = """
model = {{name = "ffnn", hidden = [8]}}
loss = {loss}
optimizer = {{name = "adam", lr = 2e-2}}
[data]
file = "patients.csv"
labels = ["died", "years"]
standardize = true
test_fraction = 0.25
[metrics]
concordance_index = {{ {options} }}
integrated_brier_score = {{ {options} }}
[train]
max_iter = 25
batch_size = 1000
seed = 0
"""
LOSSES = {
    "cox": ('"cox"', ""),
    "weibull": ('"weibull"', 'loss = "weibull"'),
    "hazard": (
        '{name = "hazard", grid = [0, 0.5, 1, 4]}',
        'loss = "hazard", grid = [0, 0.5, 1, 4]',
    ),
}
TIMES = [0.25, 0.75, 1.25]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 400 patients, with a category, and a run of each loss."""
    folder = tmp_path_factory.mktemp("runs")
    torch.manual_seed(1)
    inputs, labels = weibull_times(400)
    with (folder / "patients.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["dose", "age", "ward", "died", "years"])
        for (dose, age, ward, _), (event, time) in zip(inputs, labels, strict=True):
            ward_name = "north" if ward > 0 else "south"
            writer.writerow([f"{dose:.4f}", f"{age:.4f}", ward_name, int(event), f"{time:.4f}"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, (loss, options) in LOSSES.items():
            (folder / f"{name}.toml").write_text(RUN.format(loss=loss, options=options))
            result = CliRunner().invoke(app, ["train", f"{name}.toml"], catch_exceptions=False)
            assert result.exit_code == 0
            assert "scale_labels" not in result.output
    return folder


def table(path: Path) -> dict[str, np.ndarray]:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_a_run_orders_patients(folder: Path, name: str) -> None:
    figures = load_run(folder / "runs" / name).test()
    assert figures["test_concordance_index"] > 0.65
    assert figures["test_integrated_brier_score"] < 0.22


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("cox", ["prediction"]),
        ("weibull", ["prediction"]),
        ("hazard", [f"prediction[{k}]" for k in range(4)]),
    ],
)
def test_the_command_line_predicts_risks(
    folder: Path, name: str, columns: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    arguments = ["predict", f"runs/{name}", "patients.csv", "-o", f"{name}.csv", "--keep", "dose"]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    found = table(folder / f"{name}.csv")
    assert [*found] == ["dose", *columns]
    sign = -1 if name == "weibull" else 1  # its prediction is a time
    assert sign * np.corrcoef(found["dose"], found[columns[0]])[0, 1] > 0.3
    if name != "cox":
        assert (found[columns[0]] > 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_survival_curves_of_new_rows(folder: Path, name: str, tmp_path: Path) -> None:
    run = survival_run(load_run(folder / "runs" / name), TIMES)
    assert run.write_predictions(folder / "patients.csv", tmp_path / "curves.csv") == 400
    found = table(tmp_path / "curves.csv")
    assert [*found] == ["survival[0.25]", "survival[0.75]", "survival[1.25]"]
    curves = np.stack([*found.values()], 1)
    assert ((curves >= 0) & (curves <= 1)).all()
    assert (np.diff(curves) <= 0).all()
    truth = kaplan_meier(run.rows().splits.train[1])(torch.tensor(TIMES))
    np.testing.assert_allclose(curves.mean(0), truth, atol=0.08)


def test_the_curves_of_cox_have_the_baseline_of_the_training(folder: Path) -> None:
    run = load_run(folder / "runs" / "cox")
    inputs, labels = run.rows().splits.train
    with torch.no_grad():
        risk = run.model(inputs)
    truth = CoxLoss().survival(risk, torch.tensor(TIMES), BreslowBaseline.fit(risk, labels))
    found = survival_run(run, TIMES).predict(folder / "patients.csv").values
    for row in truth[:5]:
        assert (found - row).abs().amax(1).min() < 1e-5


@pytest.mark.slow
def test_the_curves_are_exported(folder: Path, tmp_path: Path) -> None:
    run = survival_run(load_run(folder / "runs" / "cox"), TIMES)
    path = run.export(tmp_path / "curves.pt2")
    module = torch.export.load(path).module()
    rows = torch.tensor([[0.5, 0.0, 1.0], [-1.0, 1.0, 0.0]], dtype=torch.float64)
    assert module(rows).shape == (2, 3)


def test_what_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    run = load_run(folder / "runs" / "cox")
    with pytest.raises(ConfigError, match="increasing times above 0"):
        survival_run(run, [3, 1])
    result = CliRunner().invoke(app, ["train", "cox.toml", "--set", "data.scale_labels=true"])
    assert result.exit_code == 2
    assert "needs the labels in their units" in result.output
    swapped = ["train", "cox.toml", "--set", 'data.labels=["years", "died"]', "--dry-run"]
    result = CliRunner().invoke(app, swapped)
    assert result.exit_code != 0
    assert "The event comes before the time" in " ".join(
        (result.output + str(result.exception)).split()
    )
    with pytest.raises(DataError, match="died"):
        run.test({"dose": [1.0], "age": [1.0], "ward": ["north"], "years": [2.0]})
