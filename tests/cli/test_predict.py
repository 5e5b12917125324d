"""``perceptrain predict``, ``test`` and ``export``: what they print and write, and how they end."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from sklearn.metrics import accuracy_score

from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.trained.kept_columns import read_kept
from perceptrain_core.trained.load_run import load_run
from perceptrain_core.trained.write_predictions import write_predictions

from .conftest import invoke

RUN = """
loss = "cross_entropy"
[model]
name = "ffnn"
layers = [2, 4, 2]
[data]
file = "points.csv"
labels = "side"
test_fraction = 0.25
standardize = true
[metrics]
accuracy = {}
[train]
max_iter = 3
seed = 0
verbose = false
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(40, 2)).round(4)
    sides = ["left" if a < 0 else "right" for a in x[:, 0]]
    rows = [f"{a},{b},{side}" for (a, b), side in zip(x, sides, strict=True)]
    Path("points.csv").write_text("\n".join(["a,b,side", *rows]))
    Path("run.toml").write_text(RUN)
    run = build_run(read_run_file(Path("run.toml")), Path("run.toml"))
    made = run.train()
    run.test()
    return made


def test_predictions_on_stdout_and_in_files(folder):
    printed = invoke("predict", str(folder), "points.csv")
    assert printed.exit_code == 0
    rows = list(csv.DictReader(StringIO(printed.stdout)))
    expected = load_run(folder).predict("points.csv")
    assert [row["side"] for row in rows] == expected.labels.tolist()
    chances = [[float(row[f"probability[{c}]"]) for c in ("left", "right")] for row in rows]
    np.testing.assert_allclose(chances, expected.probabilities.numpy(), atol=1e-6)
    written = invoke("predict", str(folder), "points.csv", "-o", "out.csv")
    assert "40 rows are in out.csv" in written.stdout
    assert Path("out.csv").read_text() == printed.stdout
    refused = invoke("predict", str(folder), "points.csv", "-o", "out.xlsx")
    assert (refused.exit_code, Path("out.xlsx").exists()) == (1, False)
    assert ".csv or .parquet" in refused.stderr


def test_parquet(folder):
    assert invoke("predict", str(folder), "points.csv", "-o", "out.parquet").exit_code == 0
    table = pyarrow.parquet.read_table("out.parquet").to_pydict()
    assert table["side"] == load_run(folder).predict("points.csv").labels.tolist()


def test_columns_of_the_data_are_carried_along(folder):
    points = pd.read_csv("points.csv").drop(columns="side")
    points.insert(0, "id", [f"{row:03}" for row in range(40)])
    points["id_2"] = range(100, 140)
    points["city, town"] = [None, *["Bern"] * 39]
    points.to_csv("new.csv", index=False)
    arguments = "predict", str(folder), "new.csv", "--keep", "city*", "--keep", "id*"
    printed = invoke(*arguments)
    assert printed.exit_code == 0, printed.stderr
    found = pd.read_csv(StringIO(printed.stdout), dtype={"id": str})
    assert list(found)[:4] == ["city, town", "id", "id_2", "side"]
    for name in ("city, town", "id", "id_2"):
        pd.testing.assert_series_equal(found[name], points[name])
    assert found["side"].tolist() == load_run(folder).predict("new.csv").labels.tolist()
    points.to_parquet("new.parquet")
    arguments = "predict", str(folder), "new.parquet", *arguments[3:], "-o", "out.parquet"
    assert invoke(*arguments).exit_code == 0
    written = pd.read_parquet("out.parquet")
    pd.testing.assert_frame_equal(written[["id", "id_2"]], points[["id", "id_2"]])
    parts = load_run(folder).predict_in_batches("new.csv", batch_size=1)  # the first has no city
    kept = read_kept(Path("new.csv"), ["city*"], None, text=False)
    assert write_predictions(parts, Path("parts.parquet"), kept) == 40
    cities = pyarrow.parquet.read_table("parts.parquet")["city, town"]
    assert cities.to_pylist() == [None, *["Bern"] * 39]


def test_true_labels_are_kept_beside_the_predictions(folder):
    printed = invoke("predict", str(folder), "points.csv", "--keep", "side")
    found = pd.read_csv(StringIO(printed.stdout))
    chances = ["probability[left]", "probability[right]"]
    assert list(found) == ["side", "prediction[side]", *chances]
    assert found["side"].tolist() == pd.read_csv("points.csv")["side"].tolist()
    assert (
        found["prediction[side]"].tolist() == load_run(folder).predict("points.csv").labels.tolist()
    )
    accuracy = accuracy_score(found["side"], found["prediction[side]"])
    tested = json.loads(invoke("test", str(folder), "points.csv", "--json").stdout)
    assert tested["test_accuracy"] == pytest.approx(accuracy)


def test_figures(folder):
    written = json.loads((folder / "test.json").read_text())
    assert json.loads(invoke("test", str(folder), "--json").stdout) == pytest.approx(written)
    table = invoke("test", str(folder), "points.csv").stdout
    assert "VALUE (last, epoch 3)" in table
    assert "test_accuracy" in table


def test_an_exported_file(folder):
    done = invoke("export", str(folder), "--format", "torchscript", "-o", "net")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "net.ts predicts what the run predicts; net.ts.json describes it\n"
    described = json.loads(Path("net.ts.json").read_text())
    assert [column["name"] for column in described["input"]["columns"]] == ["a", "b"]


def test_an_export_without_the_data_of_the_training_names_the_option(folder):
    Path("points.csv").rename("elsewhere.csv")
    export = "export", str(folder), "--format", "torchscript"
    missing = invoke(*export)
    assert missing.exit_code == 1
    assert "perceptrain export RUN --data DATA" in missing.stderr
    assert invoke(*export, "--data", "elsewhere.csv").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["export", "RUN", "--format", "pickle"], 2, "format='pickle'"),
        (["export", "RUN", "--format", "onnx", "-o", "no/x"], 2, "no folder no"),
        (["export", "RUN"], 2, "--format"),
        (["predict", "RUN", "no.csv"], 1, "no data file no.csv"),
        (["predict", "RUN", "points.csv", "--keep", "c"], 1, "no column 'c'"),
        (["predict", "RUN", "clash.csv", "--keep", "prob*"], 1, "rename it in the data"),
        (["predict", "no", "points.csv"], 2, "It does not exist"),
        (["test", "RUN", "--weights", "best"], 1, "no checkpoint_best.pt"),
    ],
)
def test_wrong_calls_are_one_line(folder, arguments, code, message):
    Path("clash.csv").write_text("a,b,probability[left]\n1,2,3\n")
    done = invoke(*(str(folder) if word == "RUN" else word for word in arguments))
    assert done.exit_code == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
