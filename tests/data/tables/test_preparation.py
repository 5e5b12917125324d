"""Preparations: round trips, and what they compute against scikit-learn."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from torch import nn

from perceptrain_core.data.tables.preparation import InputColumn, LabelColumns, Preparation
from perceptrain_core.data.tables.unseen import UnseenCategories
from perceptrain_core.errors import DataError

FLOATS = st.floats(-1e6, 1e6)
SCALES = st.floats(1e-3, 1e3)
TEXTS = st.text(max_size=5)


@st.composite
def inputs(draw: st.DrawFn, name: str) -> InputColumn:
    if draw(st.booleans()):
        fill = draw(st.none() | FLOATS)
        return InputColumn(name, "number", mean=draw(FLOATS), scale=draw(SCALES), fill=fill)
    texts = draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
    return InputColumn(
        name, "category", tuple(texts), fill=draw(st.none() | st.sampled_from(texts))
    )


@st.composite
def preparations(draw: st.DrawFn) -> Preparation:
    names = draw(st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=6, unique=True))
    columns = tuple(draw(inputs(name)) for name in names[1:])
    kind = draw(st.sampled_from(["classes", "scaled", "plain"]))
    classes = draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True).map(tuple))
    labels = {
        "classes": LabelColumns((names[0],), classes),
        "scaled": LabelColumns((names[0],), None, (draw(FLOATS),), (draw(SCALES),)),
        "plain": LabelColumns((names[0],)),
    }[kind]
    encoding = draw(st.sampled_from(["one_hot", "codes"]))
    return Preparation(columns, labels, encoding, draw(st.sampled_from(["zeros", "refuse"])))


@given(preparations())
def test_a_round_trip_through_json(preparation: Preparation) -> None:
    text = json.dumps(preparation.to_dict(), allow_nan=False)
    assert Preparation.from_dict(json.loads(text)) == preparation


@given(preparations(), st.data())
def test_each_feature_says_what_the_row_has(preparation: Preparation, data: st.DataObject) -> None:
    """Decode the features by hand, and compare with the rows that were encoded."""
    rows = data.draw(st.integers(1, 4))
    columns = {}
    for column in preparation.inputs:
        values = FLOATS if column.kind == "number" else st.sampled_from(column.categories)
        drawn = [data.draw(values) for _ in range(rows)]
        dtype = float if column.kind == "number" else object
        columns[column.name] = np.array(drawn, dtype=dtype)
    features = preparation.input_module()(preparation.raw_inputs(columns))
    assert features.shape == (rows, preparation.in_features)
    assert features.dtype == torch.float32
    place = 0
    for column in preparation.inputs:
        if column.kind == "category" and preparation.encoding == "one_hot":
            part = features[:, place : place + len(column.categories)]
            assert (part.sum(1) == 1).all()
            decoded: list[Any] = [column.categories[i] for i in part.argmax(1).tolist()]
            assert decoded == columns[column.name].tolist()
            place += len(column.categories)
        else:
            values = features[:, place].double().numpy()
            if column.kind == "category":
                decoded = [column.categories[int(code)] for code in values]
                assert decoded == columns[column.name].tolist()
            else:
                expected = (columns[column.name] - column.mean) / column.scale
                np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6)
            place += 1


def numbers_and_texts(rows: int = 50) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    numbers, texts = rng.normal(5, 3, rows), rng.choice(["u", "v", "w"], rows).astype(object)
    numbers[::7], texts[::5] = np.nan, None
    return numbers, texts


@pytest.mark.parametrize("encoding", ["one_hot", "codes"])
def test_against_scikit_learn(encoding):
    numbers, texts = numbers_and_texts()
    imputed = SimpleImputer(strategy="median").fit_transform(numbers[:, None])
    scaler = StandardScaler().fit(imputed)
    filled = SimpleImputer(strategy="constant", fill_value="v", missing_values=None)
    words = filled.fit_transform(texts[:, None])
    encoder = OneHotEncoder(sparse_output=False) if encoding == "one_hot" else OrdinalEncoder()
    expected = np.hstack([scaler.transform(imputed), encoder.fit_transform(words)])
    median = float(np.nanmedian(numbers))
    preparation = Preparation(
        (
            InputColumn(
                "n",
                "number",
                mean=float(scaler.mean_[0]),
                scale=float(scaler.scale_[0]),
                fill=median,
            ),
            InputColumn("t", "category", ("u", "v", "w"), fill="v"),
        ),
        LabelColumns(("y",)),
        encoding,
    )
    raw = preparation.raw_inputs({"t": texts, "n": numbers})
    assert raw.isnan().sum(0).tolist() == [8, 10]
    np.testing.assert_allclose(preparation.input_module()(raw), expected, rtol=1e-6)


def test_the_modules_can_be_exported():
    numbers, texts = numbers_and_texts()
    preparation = Preparation(
        (
            InputColumn("n", "number", fill=1.0),
            InputColumn("t", "category", ("u", "v", "w"), fill="u"),
        ),
        LabelColumns(("y",), None, (100.0,), (10.0,)),
    )
    raw = preparation.raw_inputs({"n": numbers, "t": texts})
    model = nn.Sequential(preparation.input_module(), nn.Linear(4, 1), preparation.output_module())
    program = torch.export.export(model, (raw,), dynamic_shapes=({0: torch.export.Dim("rows")},))
    assert torch.equal(program.module()(raw[:7]), model(raw[:7]))


NUMBER = InputColumn("n", "number")
TEXT = InputColumn("t", "category", ("u", "v"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"n": [1.0]}, "there is no column 't'"),
        (
            {"n": [1.0, None], "t": ["u", "v"]},
            "'n' has 1 missing value of 2, first in row 12; the",
        ),
        ({"n": [1.0, 2.0], "t": ["u", "x"]}, "'t': 'x' in row 12 is not a known category; .* u, v"),
        (
            {"n": [1.0, np.inf], "t": ["u", "v"]},
            "'n': inf in row 12; expected a number that float32",
        ),
        (
            {"n": [1.0, -1e39], "t": ["u", "v"]},
            "'n': -1e.39 in row 12; expected a number that float32",
        ),
        (
            {"n": np.array(["1", "b"], object), "t": ["u", "v"]},
            "'n': 'b' in row 12; expected a numb",
        ),
    ],
)
def test_rows_that_cannot_be_used(columns, message):
    preparation = Preparation((NUMBER, TEXT), LabelColumns(("y",)))
    table = {n: np.array(c, dtype=object if n == "t" else None) for n, c in columns.items()}
    table = {
        n: c.astype(float) if n == "n" and c.dtype == object and None in c else c
        for n, c in table.items()
    }
    with pytest.raises(DataError, match=message):
        preparation.raw_inputs(table, first_row=10)


def test_an_unknown_category_against_sklearn():
    preparation = Preparation((NUMBER, TEXT), LabelColumns(("y",)))
    texts = np.array(["v", "x", "u", "x"], object)
    unseen = UnseenCategories()
    raw = preparation.raw_inputs({"n": np.zeros(4), "t": texts}, unseen=unseen)
    assert raw[:, 1].tolist() == [1, -1, 0, -1]
    encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit([["u"], ["v"]])
    expected = encoder.transform(texts[:, None])
    assert preparation.input_module()(raw)[:, 1:].tolist() == expected.tolist()
    with pytest.warns(UserWarning, match="column 't': 'x' in 2 rows. All inputs"):
        unseen.warn()


def test_whole_numbers_with_and_without_a_point_are_one_category():
    """A program writes 3.0 if a column has gaps, and 3 if it has none."""
    for known in (("1.0", "3.0"), ("1", "3")):
        column = InputColumn("t", "category", known)
        preparation = Preparation((NUMBER, column), LabelColumns(("y",)))
        for values in (np.array(["3", "3.0"], object), np.array([3.0, 3.0])):
            raw = preparation.raw_inputs({"n": np.zeros(2), "t": values})
            assert raw[:, 1].tolist() == [1, 1]


def test_labels():
    texts, numbers = np.array(["b", "a"], dtype=object), np.array([1.0, 0.0])
    classes = Preparation((NUMBER,), LabelColumns(("y",), ("a", "b")))
    assert classes.raw_labels({"y": texts}).tolist() == [1, 0]
    assert classes.raw_labels({"y": texts}).dtype == torch.int64
    named = Preparation((NUMBER,), LabelColumns(("y",), ("0", "1")))
    assert named.raw_labels({"y": numbers}).tolist() == [1, 0]
    scaled = Preparation((NUMBER,), LabelColumns(("y", "z"), None, (1.0, 2.0), (0.5, 4.0)))
    raw = scaled.raw_labels({"y": numbers, "z": numbers})
    assert (raw.dtype, raw.tolist()) == (torch.float64, [[1, 1], [0, 0]])
    assert scaled.scaled(raw).tolist() == [[0, -0.25], [-2, -0.5]]
    assert torch.equal(scaled.output_module()(scaled.scaled(raw)), raw.float())
    with pytest.raises(DataError, match="'y': 'b' in row 1 is not a known class; known are 0, 1"):
        named.raw_labels({"y": texts})
    with pytest.raises(DataError, match="'y' has 1 missing value of 2, first in row 2; labels"):
        named.raw_labels({"y": np.array([1, np.nan])})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": []}, "there must be inputs"),
        ({"inputs": [{"name": "n", "kind": "text"}]}, "inputs.0.kind: Input should be 'number' or"),
        ({"inputs": [{"name": "n", "kind": "number", "scale": 0}]}, "mean 0 and scale 0; expected"),
        (
            {"inputs": [{"name": "n", "kind": "number", "mean": "1"}]},
            "inputs.0.mean: .* valid num",
        ),
        ({"inputs": [{"name": "n", "kind": "number", "fill": "u"}]}, "cannot be filled with 'u'"),
        (
            {"inputs": [{"name": "t", "kind": "category"}]},
            "expected categories for text, and only for text",
        ),
        (
            {"inputs": [{"name": "t", "kind": "category", "categories": ["u", "u"]}]},
            "column 't' has a category twice",
        ),
        (
            {"inputs": [{"name": "t", "kind": "category", "categories": ["u"], "fill": "x"}]},
            "cannot be filled with 'x'",
        ),
        ({"labels": {"names": ["n"]}}, "no column may be named twice"),
        ({"labels": {"names": ["y", "z"], "classes": ["a"]}}, "classes need a single label column"),
        ({"labels": {"names": ["y"], "mean": [1.0]}}, "both a mean and a scale, or none"),
        ({"labels": {"names": ["y"], "mean": [], "scale": []}}, "needs a mean and a scale"),
        ({"encoding": "words"}, "encoding: Input should be 'one_hot' or 'codes'"),
        ({"code": "import os"}, "code: Unexpected keyword argument"),
        ({"inputs": float("nan")}, "not JSON compliant"),
        ({"inputs": object()}, "not JSON serializable"),
    ],
)
def test_what_is_no_preparation(change, message):
    whole = {"inputs": [{"name": "n", "kind": "number"}], "labels": {"names": ["y"]}}
    assert Preparation.from_dict(whole) == Preparation((NUMBER,), LabelColumns(("y",)))
    with pytest.raises(DataError, match=f"(?s)not a preparation of data.*{message}"):
        Preparation.from_dict({**whole, **change})


def test_texts_are_read_as_texts():
    assert Preparation((NUMBER, TEXT), LabelColumns(("y",))).text_columns == ("t",)
