"""Run files with tables: what is read, split, scaled, sized and described."""

from __future__ import annotations

import json
from collections import Counter
from textwrap import dedent

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.preprocessing import StandardScaler

from perceptrain_core.data.tables.preparation import Preparation
from perceptrain_core.data.tables.preparation_file import read_preparation
from perceptrain_core.data.tables.tensor_preparation import TensorPreparation
from perceptrain_core.errors import ConfigError
from perceptrain_core.models import EmbeddingFFNN
from perceptrain_core.runs.build import build_model, build_run
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.runs.run import Run
from perceptrain_core.trained.load_run import load_run

HOUSES = """
[model]
name = "ffnn"
hidden = [16]
[data]
file = "houses.csv"
labels = "price"
standardize = true
val_fraction = 0.25
[optimizer]
name = "adam"
lr = 0.02
[train]
max_iter = 8
batch_size = 16
seed = 1
verbose = false
"""
WINE = HOUSES.replace('file = "houses.csv"\nlabels = "price"', 'name = "wine"')


@pytest.fixture
def houses(here):
    """200 houses in five towns: rooms, area, town and price, and the street as an id."""
    rng = np.random.default_rng(0)
    lines = ["street;rooms;area;town;price;big"]
    for row in range(200):
        rooms, area, town = rng.integers(1, 8), rng.uniform(30, 200), rng.choice(list("ABC"))
        price = 2000 * area + 30000 * (town == "B") + rng.normal(0, 5000)
        big = "yes" if area > 150 else "no"
        lines.append(f"s{row % 40};{rooms};{area:.2f};{town};{price:.2f};{big}".replace(".", ","))
    (here / "houses.csv").write_text("\n".join(lines))


@pytest.fixture
def build(here):
    def build(text: str = HOUSES, *overrides: str) -> Run:
        path = here / "run.toml"
        path.write_text(dedent(text), encoding="utf-8")
        return build_run(read_run_file(path, overrides), path)

    return build


def test_the_ends_of_the_model_follow_from_the_data(build, houses, here):
    run = build(HOUSES, 'data.inputs=["!big", "!street"]')
    assert run.trainer.model.layers == (2 + 3, 16, 1)
    assert run.run_file.model.options == {"layers": [5, 16, 1]}
    classes = "data.labels=big", "loss.name=cross_entropy", 'data.inputs=["*", "!street"]'
    assert build(HOUSES, *classes).trainer.model.layers == (3 + 3, 16, 2)
    binary = build(HOUSES, *classes[::2], "loss.name=bce_with_logits")
    assert binary.trainer.model.layers == (6, 16, 1)
    assert set(binary.splits.train[1].unique().tolist()) == {0, 1}
    assert binary.splits.train[1].shape == (150, 1)
    quantiles = build(HOUSES, 'loss={name="quantile",quantiles=[0.1,0.5,0.9]}')
    assert quantiles.trainer.model.output_size == 3
    assert build(HOUSES, "loss=gaussian_nll").trainer.model.output_size == 2
    assert build(WINE, "loss=cross_entropy").trainer.model.layers == (13, 16, 3)
    path = here / "run.toml"
    model = build_model(read_run_file(path, ["loss=cross_entropy"]), path)
    assert model.layers == (13, 16, 3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ['model={name="ffnn",layers=[5,8,1]}'],
            "model has 5 inputs, and the data have 47. Give",
        ),
        (
            ['model={name="ffnn",layers=[47,8,2]}'],
            r"model has 2 outputs, and these data need 1 with the loss mse\. .*hidden = \[8\]",
        ),
        (["data.categories=one_hot", "model.name=embedding_ffnn"], 'needs categories = "codes"'),
        (["data.stratify=true"], "stratify needs classes, and the labels are numbers"),
        (["data.labels=zzz"], "there is no column 'zzz'"),
        (["data.labels=big", "data.scale_labels=true", "loss=cross_entropy"], "labels are classes"),
        (["data.labels=town", "loss=bce_with_logits"], "for two classes, and the labels have 3"),
        (["data.val_fraction=0.001"], "houses.csv: 200 rows cannot be split"),
    ],
)
def test_data_that_do_not_fit(build, houses, overrides, message):
    with pytest.raises(ConfigError, match=message):
        build(HOUSES, *overrides)


def test_metrics_of_outputs_in_other_units_refuse_scaled_labels(build, houses, here):
    (here / "own.py").write_text(
        dedent("""
            class Spread:
                scales_with_labels = False

                def reset(self): self.sum = 0.0

                def update(self, preds, target): self.sum += float(preds.exp().sum())

                def compute(self): return self.sum
        """)
    )
    text = HOUSES + '[metrics]\nspread = { name = "./own.py:Spread" }\n'
    build(text)
    with pytest.raises(ConfigError, match=r"The metric spread reads outputs .* leave scale_labels"):
        build(text, "data.scale_labels=true")


def test_scaled_labels_and_metrics_in_their_units(build, houses):
    run = build(HOUSES + "[metrics]\nmae = {}\nrmse = {}\n", "data.scale_labels=true")
    assert "labels are scaled" in run.notes[-1]
    folder = run.train()
    assert isinstance(run.preparation, Preparation)
    assert read_preparation(folder / "preparation.json") == run.preparation
    x, y = run.splits.val
    with torch.no_grad():
        outputs = run.preparation.output_module()(run.trainer.model(x))
        loss = float((run.trainer.model(x) - y).square().mean())
    labels = run.preparation.output_module()(y)
    assert labels.mean() > 10_000
    row = run.trainer.validate()
    assert row["val_mae"] == pytest.approx(mean_absolute_error(labels, outputs), rel=1e-5)
    assert row["val_rmse"] == pytest.approx(root_mean_squared_error(labels, outputs), rel=1e-5)
    assert row["val_loss"] == pytest.approx(loss, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("weights", ["", ',weights="rooms"'])
def test_figures_of_each_label_against_sklearn(build, houses, scaled, weights):
    data = f"""data={{file="houses.csv",labels=["price","area"],inputs=["town","big"],
        test_fraction=0.5,standardize=true,scale_labels={str(scaled).lower()}{weights}}}"""
    metrics = "[metrics]\nr2 = {}\nmae = {}\nerror = { name = 'rmse' }\n"
    run = build(HOUSES + metrics, data.replace("\n", ""))
    folder = run.train()
    figures = run.test()
    assert isinstance(run.preparation, Preparation)
    x, y, *rest = run.splits.test
    unscale = run.preparation.output_module()
    with torch.no_grad():
        outputs, labels = (unscale(v.double()).numpy() for v in (run.trainer.model(x), y))
    weight = rest[0].numpy() if rest else None
    names = {"r2": r2_score, "mae": mean_absolute_error, "error": root_mean_squared_error}
    for name, function in names.items():
        for i, label in enumerate(("price", "area")):
            truth = function(labels[:, i], outputs[:, i], sample_weight=weight)
            assert figures[f"test_{name}[{label}]"] == pytest.approx(truth, rel=1e-5)
    for name in ("r2", "mae"):
        pooled = names[name](labels, outputs, sample_weight=weight)
        assert figures[f"test_{name}"] == pytest.approx(pooled, rel=1e-5)
    assert json.loads((folder / "test.json").read_text()) == figures
    assert load_run(folder).test() == pytest.approx(figures, rel=1e-5)
    assert list(figures)[:4] == ["test_loss", *(f"test_{name}" for name in names)]


def test_the_validations_of_a_training_have_figures_of_each_label(build, houses):
    data = """data={file="houses.csv",labels=["price","area"],inputs=["town","big"],
        val_fraction=0.5,standardize=true,scale_labels=true}"""
    run = build(HOUSES + "[metrics]\nrmse = {}\n", data.replace("\n", ""))
    folder = run.train()
    figures = run.validate()
    assert isinstance(run.preparation, Preparation)
    x, y = run.splits.val
    unscale = run.preparation.output_module()
    with torch.no_grad():
        outputs, labels = (unscale(v.double()).numpy() for v in (run.trainer.model(x), y))
    for i, label in enumerate(("price", "area")):
        truth = root_mean_squared_error(labels[:, i], outputs[:, i])
        assert figures[f"val_rmse[{label}]"] == pytest.approx(truth, rel=1e-5)
    assert json.loads((folder / "val.json").read_text()) == figures
    assert run.trainer.history[-1].items() >= figures.items()


def test_the_scales_are_those_of_the_training_rows_of_each_fold(build, houses, here):
    lines = (here / "houses.csv").read_text().replace(",", ".").splitlines()
    columns = np.genfromtxt(lines, delimiter=";", skip_header=1)
    means = []
    for fold in (1, 2, 3):
        options = "data.folds=3", f"data.fold={fold}", "data.val_fraction=0"
        run = build(HOUSES, *options, 'data.inputs=["area"]')
        assert isinstance(run.preparation, Preparation)
        (area,) = run.preparation.inputs
        (x, y), rows = run.splits.train, len(run.splits.train[0])
        prices = torch.tensor(columns[:, 4]).float()
        chosen = columns[torch.isin(prices, y.flatten()).numpy(), 2]
        scaler = StandardScaler().fit(chosen[:, None])
        assert (len(chosen), rows) == (rows, len(x))
        assert (area.mean, area.scale) == pytest.approx((scaler.mean_[0], scaler.scale_[0]))
        means.append(area.mean)
    assert len(set(means)) == 3


def test_embeddings(build, houses):
    options = "model.name=embedding_ffnn", "data.categories=codes", 'data.inputs=["!street"]'
    run = build(HOUSES, *options)
    assert isinstance(run.trainer.model, EmbeddingFFNN)
    assert run.trainer.model.cardinalities == (0, 0, 3, 2)
    folder = run.train()
    again = build_run(read_run_file(folder / "run.toml"), folder / "run.toml")
    assert again.run_file.model == run.run_file.model
    build(HOUSES, *options, "train.max_iter=9").train(resume=True)


def test_groups_and_classes_are_kept_together(build, houses):
    def streets(part: tuple[torch.Tensor, ...]) -> set[float]:
        return set(part[1].flatten().tolist())

    options = "data.group=street", "data.labels=rooms", 'data.inputs=["area"]'
    run = build(HOUSES, *options)
    prices = build(HOUSES, *options, "data.labels=price").splits
    assert len(prices.train[0]) + len(prices.val[0]) == 200
    assert streets(prices.train).isdisjoint(streets(prices.val))
    assert len(run.splits.val[0]) == 50
    stratified = build(HOUSES, "data.labels=town", "data.stratify=true", "loss=cross_entropy")
    train, val = (
        Counter(part[1].tolist()) for part in (stratified.splits.train, stratified.splits.val)
    )
    for town in range(3):
        assert abs(val[town] - (train[town] + val[town]) / 4) < 1


def test_tensors_leave_a_preparation_too(build):
    run = build(WINE, "loss=cross_entropy", "data.stratify=true", "train.max_iter=1")
    assert isinstance(run.preparation, TensorPreparation)
    assert run.preparation.shape == (13,)
    written = json.loads((run.train() / "preparation.json").read_text())
    assert (written["version"], written["kind"], len(written["mean"])) == (1, "tensors", 13)
    scaled = build(WINE.replace("wine", "diabetes"), "data.scale_labels=true").splits.train[1]
    assert abs(float(scaled.double().mean())) < 1e-6
    plain = build(WINE, "loss=cross_entropy", "data.standardize=false", "train.max_iter=1")
    assert plain.preparation is None
    assert not (plain.train() / "preparation.json").exists()
    with pytest.raises(ConfigError, match="scale_labels needs tensors of rows, with floats"):
        build(WINE, "loss=cross_entropy", "data.scale_labels=true")
    with pytest.raises(ConfigError, match="stratify needs labels that are classes"):
        build(WINE.replace("wine", "diabetes"), "data.stratify=true")


def test_what_a_run_says_of_its_data(build, houses):
    assert build(HOUSES, 'data.inputs=["*", "!street"]').notes == [
        "Regression of price, from 2 numbers and 2 columns (town, big) of categories (7 inputs).",
        build(HOUSES).notes[-1],
    ]
    assert "which trains slowly: set scale_labels = true in [data]" in build(HOUSES).notes[-1]


def test_a_loss_that_needs_labels_in_their_units(build, houses, here):
    (here / "units.py").write_text(
        "def error(batch, model):\n"
        "    return (model(batch[0]) - batch[1]).square().mean(), {}\n\n\n"
        "error.unscaled_labels = True\n"
    )
    own = 'loss="./units.py:error"'
    (said,) = build(HOUSES, own).notes
    assert said.startswith("Prediction of price, from")
    with pytest.raises(ConfigError, match="needs the labels in their units"):
        build(HOUSES, own, "data.scale_labels=true")
    options = "data.labels=town", 'data.inputs=["area"]', "loss=cross_entropy"
    assert build(HOUSES, *options).notes == [
        "Classification of town with 3 classes (A, B, C), from 1 number (1 input)."
    ]
    assert build(WINE, "loss=cross_entropy").notes == ["Classification with 3 classes."]


def test_a_model_worse_than_a_constant(build, houses):
    bad = build(HOUSES)
    bad.train()
    text = bad.shortfall()
    assert text is not None
    assert text.startswith("The model predicts worse than the mean of the labels (R2 = -")
    assert "scale_labels = true" in text
    good = build(HOUSES, "data.scale_labels=true")
    good.train()
    assert good.shortfall() is None
