"""The same rows in all forms of a table in memory have the same predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from perceptrain_core.errors import ConfigError, DataError
from perceptrain_core.trained.load_run import load_run
from tests.trained.conftest import CANCER, DIABETES

FORMS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "lists with NaN": lambda frame: {name: frame[name].tolist() for name in frame},
    "tuples with NaN": lambda frame: {name: tuple(frame[name]) for name in frame},
    "lists with None": lambda frame: {
        name: [None if value != value else value for value in frame[name].tolist()]
        for name in frame
    },
    "arrays of objects": lambda frame: {name: frame[name].to_numpy(object) for name in frame},
    "masked arrays": lambda frame: {
        name: np.ma.array(frame[name].fillna(frame[name].dropna().iloc[0]), mask=frame[name].isna())
        for name in frame
    },
    "series": lambda frame: {name: frame[name] for name in frame},
    "pandas.NA": lambda frame: frame.astype(object).where(frame.notna(), pd.NA),
    "nullable dtypes": lambda frame: frame.convert_dtypes(),
    "lists of rows": lambda frame: frame.to_numpy().tolist(),
    "an array of rows": lambda frame: frame.to_numpy(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.filterwarnings("error:The training did not have")
def test_missing_values_are_filled_in_every_form(train, here, diabetes, form):
    run = load_run(train(DIABETES))
    inputs = diabetes.drop(columns="progression")
    expected = run.predict(here / "diabetes.csv").values
    torch.testing.assert_close(run.predict(form(inputs)).values, expected)


@pytest.mark.filterwarnings("error:The training did not have")
def test_booleans_in_every_form(train, here, diabetes):
    smoker = np.arange(len(diabetes)) % 3 == 0
    frame = diabetes.assign(smoker=smoker)
    frame.to_csv(here / "smokers.csv", index=False)
    run = load_run(train(DIABETES, 'data.file="smokers.csv"', "model={name='ffnn',hidden=[8]}"))
    expected = run.predict(here / "smokers.csv").values
    assert run.preparation.inputs[-1].categories == ("false", "true")
    forms = [smoker, smoker.astype(int), smoker.astype(float), smoker.astype(str)]
    forms += [np.where(smoker, "TRUE", "FALSE"), np.where(smoker, "true", "false")]
    for values in forms:
        torch.testing.assert_close(run.predict(frame.assign(smoker=values)).values, expected)
    frame.assign(smoker=smoker.astype(int)).to_csv(here / "numbers.csv", index=False)
    torch.testing.assert_close(run.predict(here / "numbers.csv").values, expected)
    with pytest.warns(UserWarning, match="column 'smoker': '2' in 442 rows"):
        run.predict(frame.assign(smoker=2))


def test_rows_without_a_label_are_left_out_as_in_the_training(train, here, diabetes):
    run = load_run(train(DIABETES))
    frame = diabetes.copy()
    frame.loc[[3, 50, 51], "progression"] = np.nan
    expected = run.test(frame.dropna(subset="progression"))
    frame.to_csv(here / "gaps.csv", index=False)
    pair = frame.drop(columns="progression"), frame[["progression"]]
    for data in (frame, here / "gaps.csv", pair):
        with pytest.warns(UserWarning, match="Left out 3 of 442 rows, with 3 values of 'progress"):
            assert run.test(data) == pytest.approx(expected)
    with pytest.raises(DataError, match="'progression' has 442 missing values"):
        run.test(diabetes.assign(progression=np.nan))


def test_rows_with_gaps_are_left_out_as_in_the_training(train, here, diabetes):
    run = load_run(train(DIABETES, 'data.missing="drop"'))
    gaps = int(diabetes.isna().any(axis=1).sum())
    with pytest.warns(
        UserWarning,
        match=f"Left out {gaps} of 442 rows, with 41 values of 'sex', 64 values of 'bmi'",
    ):
        figures = run.test(diabetes)
    assert figures == pytest.approx(run.test(diabetes.dropna()))


def test_missing_labels_are_an_error_where_the_training_had_none(train, cancer):
    run = load_run(train(CANCER))
    frame = cancer.copy()
    frame.loc[7, "diagnosis"] = None
    with pytest.raises(
        DataError, match=r"'diagnosis' has 1 missing value .* row 8; labels must be"
    ):
        run.test(frame)


def test_a_series_is_not_a_table(train, here, diabetes):
    run = load_run(train(DIABETES))
    with pytest.raises(DataError, match=r"not Series. Keep it a table: .*df.iloc\[\[0\]\]"):
        run.predict(diabetes.iloc[0])
    assert len(run.predict(diabetes.iloc[[0]]).values) == 1


def test_a_file_is_no_folder(train, here):
    train(CANCER, name="cancer.toml")
    with pytest.raises(ConfigError, match=r"cancer\.csv is not .*It is a file\. Name a folder"):
        load_run("cancer.csv")
    with pytest.raises(
        ConfigError, match=r"It is a run file: perceptrain train cancer\.toml trains"
    ):
        load_run("cancer.toml")


@pytest.mark.parametrize("folder", [3, None, ["runs/a"]])
def test_a_folder_that_is_no_path(folder):
    with pytest.raises(ConfigError, match=r"load_run was called with .*; expected the path of"):
        load_run(folder)
