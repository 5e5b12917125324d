"""Figures of the training rows, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from perceptrain_core.data.tables.prepare import make_tensors, mean_and_scale, prepare_table
from perceptrain_core.data.tables.table import Table, TableOptions, read_table
from perceptrain_core.errors import DataError


def table(csv, rows: int = 20_000, **options) -> Table:
    rng = np.random.default_rng(0)
    ages = rng.uniform(0, 90, rows).round(1)
    lines = ["age,town,y,w"]
    for row, age in enumerate(ages.tolist()):
        town = "" if row % 11 == 0 else "uvw"[row % 3]
        lines.append(f"{'' if row % 7 == 0 else age},{town},{1000 + age},{row % 4}")
    path = csv("\n".join(lines))
    return read_table(path, TableOptions(["y"], weights="w", **options))


def test_means_and_fills_are_of_the_training_rows(csv):
    made = table(csv, missing="fill")
    training = torch.arange(0, made.rows, 3)
    preparation = prepare_table(made, training, standardize=True, scale_labels=True, fill=True)
    ages, towns = (made.columns[name] for name in ("age", "town"))
    imputer = SimpleImputer(strategy="median").fit(ages[training][:, None])
    scaler = StandardScaler().fit(imputer.transform(ages[training][:, None]))
    age, town = preparation.inputs
    assert age.fill == imputer.statistics_[0]
    np.testing.assert_allclose([age.mean, age.scale], [scaler.mean_[0], scaler.scale_[0]])
    frequent = SimpleImputer(strategy="most_frequent", missing_values=None)
    assert town.fill == frequent.fit(towns[training][:, None]).statistics_[0]
    labels = StandardScaler().fit(made.columns["y"][training][:, None])
    assert preparation.labels.mean == pytest.approx(labels.mean_)
    assert preparation.labels.scale == pytest.approx(labels.scale_)
    x, y, weights = make_tensors(made, preparation)
    expected = scaler.transform(imputer.transform(ages[:, None]))[:, 0]
    np.testing.assert_allclose(x[:, 0], expected, atol=1e-6)
    assert x.shape == (made.rows, 4)
    assert (x[:, 1:].sum(1) == 1).all()
    np.testing.assert_allclose(y, labels.transform(made.columns["y"][:, None]), atol=1e-6)
    assert (y.dtype, weights[:5].tolist()) == (torch.float32, [0, 1, 2, 3, 0])


def test_without_scaling_numbers_are_as_they_are(csv):
    made = read_table(csv("a,kind\n1.5,u\n2,v\n"), TableOptions(["kind"]))
    x, y = make_tensors(made, prepare_table(made, torch.tensor([0])))
    assert (x.tolist(), y.tolist(), y.dtype) == ([[1.5], [2]], [0, 1], torch.int64)


def test_constants(csv):
    assert mean_and_scale(np.full(10, 0.1)) == (0.1, 1.0)
    made = read_table(csv("a,y\n0.1,1\n0.1,2\n0.1,3\n"), TableOptions(["y"]))
    x, _ = make_tensors(made, prepare_table(made, torch.arange(3), standardize=True))
    assert x.tolist() == [[0], [0], [0]]


def test_faults_name_the_row_in_the_table(csv):
    rows = "1,1\n" * 10_000
    made = read_table(csv(f"a,y\n{rows}inf,1\n"), TableOptions(["y"]))
    with pytest.raises(DataError, match="'a': inf in row 10001; expected a number that float32"):
        make_tensors(made, prepare_table(made, torch.tensor([0])))
    with pytest.raises(DataError, match="'a' has values that are infinite"):
        prepare_table(made, torch.arange(10_001), standardize=True)


def test_what_cannot_be_prepared(csv):
    made = read_table(csv("a,kind\n1,u\n,v\n"), TableOptions(["kind"], missing="fill"))
    with pytest.raises(DataError, match="scale_labels is for numbers, and the labels are classes"):
        prepare_table(made, torch.tensor([0]), scale_labels=True)
    with pytest.raises(DataError, match="'a' has no value in the training rows"):
        prepare_table(made, torch.tensor([1]), fill=True)
