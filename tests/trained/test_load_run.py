"""Trained runs in use: predictions and tests, against NumPy and scikit-learn."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score

from perceptrain_core.checkpoints.kinds import read_checkpoint
from perceptrain_core.errors import CheckpointError, ConfigError, DataError, ShapeError
from perceptrain_core.trained.load_run import load_run

from ..shared import same
from .conftest import CANCER, DIABETES


def two_layers(weights: dict, x: np.ndarray, activation=np.tanh) -> np.ndarray:
    """Evaluate a network of two linear layers by hand, in double precision."""
    (w1, b1, w2, b2) = (tensor.double().numpy() for tensor in weights.values())
    return activation(x @ w1.T + b1) @ w2.T + b2


def splits_of(rows: int, val: float, test: float) -> list[np.ndarray]:
    """The rows of training, validation and test, in the order the split seed 0 has."""
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(0)).numpy()
    held = round(rows * val), round(rows * test)
    train = rows - sum(held)
    return [order[:train], order[train : train + held[0]], order[train + held[0] :]]


# Predictions


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "dtype"),
    [("dtype=float64", torch.float64), ("precision=bf16-true", torch.bfloat16)],
)
def test_a_run_is_loaded_in_the_dtype_of_its_training(train, here, setting, dtype):
    folder = train(CANCER, f"train.{setting}")
    saved = torch.load(folder / "model.pt", weights_only=True)
    run = load_run(folder)
    for name, value in run.model.state_dict().items():
        assert value.dtype == dtype
        assert torch.equal(value, saved[name])
    before = run.predict(here / "cancer.csv").probabilities.numpy()
    assert before.dtype == (np.float64 if dtype == torch.float64 else np.float32)
    assert run.test()["test_accuracy"] > 0.8
    assert np.array_equal(run.predict(here / "cancer.csv").probabilities.numpy(), before)


def test_classes_against_numpy(train, here, cancer):
    folder = train(CANCER, 'model.activation_function="tanh"')
    found = load_run(folder).predict(here / "cancer.csv")
    x = cancer.iloc[:, :30].to_numpy()
    known = x[splits_of(len(x), 0.2, 0.2)[0]]
    weights = torch.load(folder / "model.pt", weights_only=True)
    outputs = two_layers(weights, (x - known.mean(0)) / known.std(0))
    chances = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    np.testing.assert_allclose(found.probabilities.numpy(), chances, atol=1e-5)
    names = np.array(["benign", "malignant"])[outputs.argmax(1)]
    assert found.labels.tolist() == names.tolist()
    assert found.classes == ("benign", "malignant")
    assert list(found.columns()) == [
        "diagnosis",
        "probability[benign]",
        "probability[malignant]",
    ]
    assert accuracy_score(cancer["diagnosis"], found.labels) > 0.8


def test_classes_that_are_numbers_stay_numbers(train, here, cancer):
    frame = cancer.assign(diagnosis=np.where(cancer["diagnosis"] == "benign", 1, 2))
    frame.to_csv(here / "numbers.csv", index=False)
    run = load_run(train(CANCER, 'data.file="numbers.csv"', "data.classes=true"))
    found = run.predict(here / "numbers.csv")
    assert found.classes == run.classes == (1, 2)
    assert found.labels.dtype == np.int64
    assert accuracy_score(frame["diagnosis"], found.labels) > 0.8
    assert run.write_predictions(here / "numbers.csv", here / "out.csv") == len(frame)
    written = pd.read_csv(here / "out.csv")
    assert written["diagnosis"].tolist() == found.labels.tolist()
    assert list(written) == ["diagnosis", "probability[1]", "probability[2]"]


@pytest.mark.slow
def test_numbers_that_are_categories(train, here):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"level": rng.integers(1, 4, 300), "x": rng.normal(size=300)})
    frame["y"] = np.array([5.0, -5.0, 9.0])[frame["level"] - 1] + frame["x"]
    frame.to_csv(here / "levels.csv", index=False)
    changes = [
        'data={file="levels.csv",labels="y",categorical=["level"],standardize=true}',
        "model={name='ffnn',hidden=[16]}",
        "train.max_iter=25",
        "optimizer.lr=0.05",
    ]
    run = load_run(train(DIABETES, *changes))
    assert run.preparation.inputs[0].categories == ("1", "2", "3")
    found = run.predict(here / "levels.csv")
    assert r2_score(frame["y"], found.labels) > 0.98
    torch.testing.assert_close(run.predict(frame).values, found.values)
    with pytest.warns(UserWarning, match="column 'level': '7' in 300 rows"):
        run.predict(frame.assign(level=7))


def test_numbers_with_text_gaps_and_units_against_numpy(train, here, diabetes):
    folder = train(DIABETES, 'model.activation_function="tanh"')
    found = load_run(folder).predict(here / "diabetes.csv")
    first = splits_of(len(diabetes), 0.2, 0)[0]
    parts = []
    for name in diabetes.columns[:-1]:
        column, known = diabetes[name], diabetes[name].iloc[first]
        if name == "sex":
            column = column.fillna(known.mode()[0])
            parts += [column == "f", column == "m"]
            continue
        median = known.median()
        column, known = column.fillna(median), known.fillna(median)
        parts.append((column - known.mean()) / known.std(ddof=0))
    x = np.stack([np.asarray(part, dtype=float) for part in parts], 1)
    y = diabetes["progression"].iloc[first]
    weights = torch.load(folder / "model.pt", weights_only=True)
    expected = two_layers(weights, x) * y.std(ddof=0) + y.mean()
    np.testing.assert_allclose(found.values.numpy(), expected, rtol=1e-4)
    np.testing.assert_array_equal(found.labels, found.values.numpy())
    assert list(found.columns()) == ["progression"]


def test_all_kinds_of_data_give_the_same(train, here, cancer):
    run = load_run(train(CANCER, "train.max_iter=1"))
    cancer.to_parquet(here / "cancer.parquet")
    inputs = cancer.iloc[:, :30]
    mixed = inputs.iloc[:, ::-1].assign(extra="text")
    expected = run.predict(here / "cancer.csv").probabilities
    array = inputs.to_numpy()
    kinds = [
        here / "cancer.parquet",
        str(here / "cancer.csv"),
        cancer,
        mixed,
        array,
        torch.tensor(array),
        dict(inputs),
    ]
    for data in kinds:
        assert torch.equal(run.predict(data).probabilities, expected)


@pytest.mark.parametrize("rows", [1, 7, 568, 10_000])
def test_parts_are_the_whole(train, here, rows):
    run = load_run(train(CANCER, "train.max_iter=1"))
    whole = run.predict(here / "cancer.csv")
    parts = list(run.predict_in_batches(here / "cancer.csv", rows))
    assert [len(part) for part in parts[:-1]] == [rows] * (len(parts) - 1)
    joined = torch.cat([part.probabilities for part in parts])
    torch.testing.assert_close(joined, whole.probabilities)


def test_columns_and_values_that_cannot_be(train, here, cancer, diabetes):
    run = load_run(train(DIABETES, "train.max_iter=1"))
    with pytest.raises(DataError, match="'bmi'"):
        run.predict(diabetes.drop(columns="bmi"))
    with pytest.raises(ShapeError, match=r"\(3, 4\); expected \(N, 10\)"):
        run.predict(np.zeros((3, 4)))
    with pytest.raises(DataError, match="no data file"):
        run.predict(here / "nowhere.csv")
    complete = load_run(train(CANCER, "train.max_iter=1", name="complete.toml"))
    gap = cancer.copy()
    gap.loc[5, "mean area"] = np.nan
    with pytest.raises(DataError, match=r"'mean area' has 1 missing value .* in row 6"):
        complete.predict(gap)


def test_a_category_that_the_training_did_not_have(train, here, diabetes):
    folder = train(DIABETES, 'model.activation_function="tanh"')
    run = load_run(folder)
    odd = diabetes.fillna({"sex": "f", "bmi": 26.0})
    odd.loc[[3, 300], "sex"] = "x"
    odd.loc[7, "sex"] = "y"
    odd.to_csv(here / "odd.csv", index=False)
    expected = "column 'sex': 'x' in 2 rows; column 'sex': 'y' in 1 row. All inputs"
    with pytest.warns(UserWarning, match=expected) as caught:
        found = run.predict(odd).values
    assert len(caught) == 1
    with pytest.warns(UserWarning, match=expected) as caught:  # one warning for all parts
        parts = [part.values for part in run.predict_in_batches(here / "odd.csv", 100)]
    assert len(caught) == 1
    torch.testing.assert_close(torch.cat(parts), found)

    train_rows = splits_of(len(diabetes), 0.2, 0)[0]
    columns = []
    for name in diabetes.columns[:-1]:
        known = diabetes[name].iloc[train_rows]
        if name == "sex":  # neither of the two
            columns += [np.zeros(2), np.zeros(2)]
            continue
        known = known.fillna(known.median())
        columns.append((odd[name][[3, 7]] - known.mean()) / known.std(ddof=0))
    weights = torch.load(folder / "model.pt", weights_only=True)
    y = diabetes["progression"].iloc[train_rows]
    outputs = two_layers(weights, np.stack(columns, 1)) * y.std(ddof=0) + y.mean()
    np.testing.assert_allclose(found[[3, 7]].numpy(), outputs, rtol=1e-4)
    with pytest.warns(UserWarning, match="'x' in 2 rows"):
        assert np.isfinite(run.test(odd)["test_loss"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "advice"),
    [('unseen="refuse"', 'unseen = "refuse" in .data.'), ('categories="codes"', "no code for a")],
)
def test_a_category_that_is_refused(train, here, diabetes, setting, advice):
    model = "model={name='embedding_ffnn',hidden=[8]}"
    run = load_run(train(DIABETES, f"data.{setting}", *([model] if "codes" in setting else [])))
    odd = diabetes.copy()
    odd.loc[3, "sex"] = "x"
    message = rf"'x' in row 4 is not a known category; known are f, m. .*{advice}"
    with pytest.raises(DataError, match=message):
        run.predict(odd)
    odd.to_csv(here / "odd.csv", index=False)
    with pytest.raises(DataError, match=r"odd\.csv.*'x' in row 4"):
        list(run.predict_in_batches(here / "odd.csv", 2))


# Tests


def test_the_test_is_that_of_the_training(train):
    folder = train(CANCER)
    written = json.loads((folder / "test.json").read_text())
    assert load_run(folder).test() == pytest.approx(written)


def test_a_test_on_new_data_against_sklearn(train, here, cancer):
    run = load_run(train(CANCER))
    held = cancer.iloc[splits_of(len(cancer), 0.2, 0.2)[2]]
    held.to_csv(here / "held.csv", index=False)
    figures = run.test(here / "held.csv")
    accuracy = accuracy_score(held["diagnosis"], run.predict(held).labels)
    assert figures["test_accuracy"] == pytest.approx(accuracy)
    assert figures == pytest.approx(run.test())
    assert figures == pytest.approx(run.test(held))
    assert figures == pytest.approx(run.test((held.iloc[:, :30], held["diagnosis"].to_numpy())))


def test_metrics_are_in_the_units_of_the_labels(train, diabetes):
    run = load_run(train(DIABETES, "metrics.mae={}"))
    differences = run.predict(diabetes).values.numpy()[:, 0] - diabetes["progression"]
    assert run.test(diabetes)["test_mae"] == pytest.approx(np.abs(differences).mean(), rel=1e-5)


@pytest.mark.slow
def test_two_classes_as_one_number(train, cancer):
    run = load_run(train(CANCER, "loss=bce_with_logits", "model.layers=[30, 8, 1]"))
    found = run.predict(cancer)
    assert found.probabilities.shape == (569, 2)
    figures = run.test(cancer)
    accuracy = accuracy_score(cancer["diagnosis"], found.labels)
    assert figures["test_accuracy"] == pytest.approx(accuracy)


# Folders


@pytest.mark.slow
def test_the_best_weights(train, cancer):
    best = '[[callbacks]]\nname = "save_best_checkpoint"\n'
    folder = train(CANCER + best, "optimizer.lr=0.3", "train.max_iter=8")
    state = torch.load(folder / "checkpoint_best.pt", weights_only=True)
    run = load_run(folder, weights="best")
    assert run.weights.startswith("best, epoch ")
    weights = dict(run.model.named_parameters())
    saved = state["model"]
    assert all(torch.equal(weights[name], saved[name]) for name in weights)
    plain = train(CANCER, "train.max_iter=1", name="plain.toml")
    with pytest.raises(CheckpointError, match=r"no checkpoint_best\.pt.*save_best_checkpoint"):
        load_run(plain, weights="best")
    with pytest.raises(ConfigError, match="'last' or 'best'"):
        load_run(plain, weights="first")


def test_the_best_weights_of_a_run_with_sharded_checkpoints(train, cancer):
    best = '[[callbacks]]\nname = "save_best_checkpoint"\n'
    folder = train(CANCER + best, "train.checkpoint_format=sharded")
    assert not (folder / "checkpoint_best.pt").exists()
    state = read_checkpoint(folder / "checkpoint_best.dcp")
    run = load_run(folder, weights="best")
    assert run.weights == f"best, epoch {state['epoch']}"
    assert same(run.model.state_dict(), dict(state["model"]))


def test_a_moved_folder_with_its_data(train, here, tmp_path_factory, monkeypatch):
    folder = train(CANCER)
    written = json.loads((folder / "test.json").read_text())
    expected = load_run(folder).predict(here / "cancer.csv").values
    moved = tmp_path_factory.mktemp("elsewhere") / "all"
    there = moved / folder.relative_to(here)
    monkeypatch.chdir("/")
    shutil.move(here, moved)
    here.mkdir()
    run = load_run(there)
    assert run.test() == pytest.approx(written)
    assert torch.equal(run.predict(moved / "cancer.csv").values, expected)


def test_changed_or_lost_data(train, here):
    run = load_run(train(CANCER))
    with (here / "cancer.csv").open("a") as file:
        file.write((here / "cancer.csv").read_text().splitlines()[-1] + "\n")
    with pytest.warns(UserWarning, match="has changed since the training"):
        run.test()
    (here / "cancer.csv").unlink()
    with pytest.raises(DataError, match="pass data, a file like it"):
        run.test()


def test_a_record_of_another_format(train):
    folder = train(CANCER, "train.max_iter=1")
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"format": 2}))
    with pytest.raises(DataError, match=r"run\.json cannot be read: .*format"):
        load_run(folder)


def test_other_versions(train):
    folder = train(CANCER, "train.max_iter=1")
    text = (folder / "run.toml").read_text()
    now = load_run(folder).run_file.provenance["versions"]["perceptrain-core"]
    line = f'perceptrain-core = "{now}"'
    assert line in text
    (folder / "run.toml").write_text(text.replace(line, 'perceptrain-core = "0.1.9"'))
    with pytest.warns(UserWarning, match=rf"perceptrain-core 0\.1\.9, now {now}"):
        load_run(folder)


def test_an_interrupted_run(train):
    folder = train(CANCER, "train.max_iter=1")
    (folder / "model.pt").unlink()
    with pytest.raises(CheckpointError, match=r"no model\.pt. Train the run to its end"):
        load_run(folder)
    (folder / "run.json").unlink()
    with pytest.raises(DataError, match="training did not end"):
        load_run(folder)


def test_folders_that_are_no_runs(train, here):
    folder = train(CANCER, "train.max_iter=1")
    with pytest.raises(ConfigError, match="It does not exist"):
        load_run(here / "nowhere")
    with pytest.raises(ConfigError, match="Name its folder"):
        load_run(folder / "run.toml")
    with pytest.raises(ConfigError, match="Name a folder that perceptrain train wrote"):
        load_run(folder.parent)
    shutil.move(folder, here / "folds" / "fold_1")
    with pytest.raises(ConfigError, match="fold_1"):
        load_run(here / "folds")
    assert len(load_run(here / "folds" / "fold_1").predict(np.zeros((2, 30)))) == 2
