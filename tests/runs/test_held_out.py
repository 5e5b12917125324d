from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.metrics import accuracy_score, mean_squared_error

from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.runs.record import read_record
from perceptrain_core.trained.load_run import load_run

COMMON = """
[optimizer]
name = "adam"
lr = 0.01

[train]
max_iter = 3
batch_size = 32
seed = 0
"""


def rows(folder: Path) -> dict[str, list[str]]:
    with (folder / "predictions.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    return {name: [line[name] for line in lines] for name in lines[0]}


def trained(tmp_path: Path, tables: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict]:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run.toml"
    path.write_text(tables + COMMON)
    run = build_run(read_run_file(path, ["train.verbose=false"]), path)
    folder = run.train()
    means = run.test() if run.splits.test is not None else run.validate()
    run.write_predictions()
    return folder, means


@pytest.mark.parametrize("held_out", ["test_fraction", "val_fraction"])
def test_classes_by_name(held_out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_wine(as_frame=True)
    frame = data.frame.assign(grower=[str(data.target_names[n]) for n in data.target])
    frame.drop(columns="target").to_csv(tmp_path / "wine.csv", index=False)
    tables = f"""
    model = {{name = "ffnn", hidden = [8]}}
    loss = {{name = "cross_entropy", accuracy = true}}
    data = {{file = "wine.csv", labels = "grower", standardize = true, {held_out} = 0.3}}
    """
    folder, means = trained(tmp_path, tables, monkeypatch)
    columns = rows(folder)
    names = [f"class_{n}" for n in range(3)]
    assert set(columns["truth"]) == set(names)
    accuracy = means["test_accuracy" if held_out == "test_fraction" else "val_accuracy"]
    assert accuracy_score(columns["truth"], columns["prediction"]) == pytest.approx(accuracy)
    chances = np.array([columns[f"probability_{name}"] for name in names], float)
    np.testing.assert_allclose(chances.sum(0), 1, rtol=1e-6)
    assert [names[n] for n in chances.argmax(0)] == columns["prediction"]


def test_numbers_in_the_units_of_the_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_diabetes(as_frame=True).frame.to_csv(tmp_path / "d.csv", index=False)
    tables = """
    model = {name = "ffnn", hidden = [8]}
    data = {file = "d.csv", labels = "target", scale_labels = true, test_fraction = 0.2}
    metrics = {rmse = {}}
    """
    folder, means = trained(tmp_path, tables, monkeypatch)
    columns = rows(folder)
    truth, prediction = (np.array(columns[name], float) for name in ("truth", "prediction"))
    assert mean_squared_error(truth, prediction) ** 0.5 == pytest.approx(means["test_rmse"])
    known = pd.read_csv(tmp_path / "d.csv")["target"].to_numpy()
    assert np.isin(truth.round(3), known).all()


def test_several_labels_and_means_of_a_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "u": x.sum(1), "v": 100 * x[:, 0]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    tables = """
    model = {name = "ffnn", hidden = [8]}
    loss = "gaussian_nll"
    data = {file = "t.csv", labels = ["u", "v"], scale_labels = true, test_fraction = 0.2}
    """
    folder, _ = trained(tmp_path, tables, monkeypatch)
    columns = rows(folder)
    assert list(columns) == ["truth_u", "prediction_u", "truth_v", "prediction_v"]
    assert max(abs(float(value)) for value in columns["truth_v"]) > 20


def test_no_file_without_rows_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run.toml"
    path.write_text('model = {name = "ffnn", layers = [10, 1]}\ndata = "diabetes"\n' + COMMON)
    run = build_run(read_run_file(path, ["train.verbose=false"]), path)
    folder = run.train()
    run.write_predictions()
    assert not (folder / "predictions.csv").exists()


def test_a_model_in_float64_is_compared_with_a_constant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.py").write_text(ROWS)
    path = tmp_path / "run.toml"
    path.write_text(TENSORS.format(outputs=1, loss="mse") + COMMON)
    run = build_run(read_run_file(path, ["train.verbose=false", "train.dtype='float64'"]), path)
    run.train()
    assert "worse than the mean" in (run.shortfall() or "")


def test_outputs_that_are_not_the_classes_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(tmp_path, "data.py").write_text(ROWS)
    monkeypatch.chdir(tmp_path)
    tables = TENSORS.format(outputs=2, loss="./data.py:distance").replace(":rows", ":classes")
    folder, _ = trained(tmp_path, tables, monkeypatch)
    assert not (folder / "predictions.csv").exists()


ROWS = """
import torch

def rows():
    x = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
    return (x[:30], x[:30, :1] + 100), (x[30:], x[30:, :1] + 100)

def classes():
    x, y = torch.rand(40, 3), torch.arange(40) % 3
    return (x[:30], y[:30]), (x[30:], y[30:])

def distance(batch, model):
    return (model(batch[0])[:, 0] - batch[1]).square().mean(), {}
"""
TENSORS = """
model = {{name = "ffnn", layers = [3, 8, {outputs}]}}
loss = {{name = "{loss}"}}
data = {{name = "./data.py:rows"}}
"""


def test_the_record_names_the_epoch_that_early_stopping_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = """
    model = {name = "ffnn", layers = [10, 4, 1]}
    data = {name = "diabetes", val_fraction = 0.2}
    """
    stop = '[[callbacks]]\nname = "early_stopping"\non = "val_epoch_end"\nmonitor = "val_loss"\n'
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run.toml"
    settings = "mode = 'max'\npatience = 9\nrestore_best = true\n"  # the first epoch is the worst
    path.write_text(tables + COMMON + stop + settings)
    run = build_run(read_run_file(path, ["train.verbose=false"]), path)
    folder = run.train()
    record = read_record(folder)
    assert (record.weights, record.epoch) == ("best", 1)
    assert load_run(folder).weights == "best, epoch 1"
