"""Data files, each value against what was written by hand."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch

from perceptrain_core.data.files.table_file import read_table
from perceptrain_core.errors import DataError, MissingDependencyError

pyarrow = pytest.importorskip("pyarrow")


@pytest.fixture
def csv(tmp_path):
    def write(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "data.csv"
        path.write_text(text, encoding=encoding, newline="")
        return path

    return write


@pytest.fixture
def npz(tmp_path):
    def write(**arrays: object) -> Path:
        path = tmp_path / "data.npz"
        np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})
        return path

    return write


@pytest.fixture
def parquet(tmp_path):
    def write(**columns: list[object]) -> Path:
        from pyarrow.parquet import write_table

        path = tmp_path / "data.parquet"
        write_table(pyarrow.table(columns), path)
        return path

    return write


# CSV


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_columns_in_the_order_asked_for(csv, encoding):
    path = csv("a,b, c,z\n1,2,3,x\n-4e-1,5,6,\n", encoding)
    x, y = read_table(path, ["c", "a"], ["b"])
    assert x.dtype == y.dtype == torch.float32
    assert x.tolist() == [[3, 1], [6, torch.tensor(-0.4).item()]]
    assert y.tolist() == [[2], [5]]


def test_text_labels_are_classes_in_sorted_order(csv):
    _, y = read_table(csv("x,kind\n1,cat\n2, ant\n3,cat\n4,bee\n"), ["x"], ["kind"])
    assert y.dtype == torch.int64
    assert y.tolist() == [2, 0, 2, 1]


def test_numbers_are_classes_only_if_asked_for(csv):
    path = csv("x,y\n1,5\n2,3\n3,5\n")
    assert read_table(path, ["x"], ["y"])[1].tolist() == [[5], [3], [5]]
    assert read_table(path, ["x"], ["y"], classes=True)[1].tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="classes need a single label column, not x, y"):
        read_table(path, ["x"], ["x", "y"], classes=True)


def test_text_is_no_number_where_classes_are_ruled_out(csv):
    with pytest.raises(DataError, match=r"column 'y': 'cat' in row 1 is not a number"):
        read_table(csv("x,y\n1,cat\n"), ["x"], ["y"], classes=False)


def test_quotes_line_ends_and_empty_lines(csv):
    path = csv('x,"a ""label"", long"\r\n1,"two\nlines"\r\n\r\n2,b\r\n\r\n')
    assert read_table(path, ["x"], ['a "label", long'])[1].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2\n3\n", r"line 3: expected 2 values, as in the header, not 1\."),
        ('x,y\n"a\nb",2\n3,4,5\n', r"line 4: expected 2 values"),
        ("x,y\n1,2\nabc,3\n", "column 'x': 'abc' in row 2 is not a number"),
        ("x,y\n1,2\n,3\n", "column 'x': '' in row 2 is not a number"),
        ("x,y\n1,2\nnan,3\n", "column 'x': row 2 is not a finite number"),
        ("x,y\n1,2\n2,inf\n", "column 'y': row 2 is not a finite number"),
        ("x,y\n1e300,2\n", "column 'x': row 1 is not a finite number"),
        ("x,y\n1,0.5\n2,\n", "column 'y': '' in row 2 is not a number"),  # not two classes
        ("x,y\n1,a\n2,\n", "column 'y': '' in row 2 is not a class"),
        ("x,Y\n1,2\n", r"has no column 'y'; did you mean 'Y'\?|it has x, Y"),
        ("x,x,y\n1,2,3\n", "has several columns 'x'"),
        ("x,y\n", "has no rows"),
        ("", "has no column 'x'; it has none"),
    ],
)
def test_a_csv_that_cannot_be_used(csv, text, message):
    with pytest.raises(DataError, match=message):
        read_table(csv(text), ["x"], ["y"])


def test_a_missing_column_is_guessed(csv):
    with pytest.raises(DataError, match="no column 'hight'; did you mean 'height'"):
        read_table(csv("height,age\n1,2\n"), ["hight"], ["age"])
    with pytest.raises(DataError, match="no column 'zzz'; it has height, age"):
        read_table(csv("height,age\n1,2\n"), ["zzz"], ["age"])


def test_a_csv_in_another_encoding(csv):
    with pytest.raises(DataError, match=r"data\.csv cannot be read: .*utf-8"):
        read_table(csv("x,y\n1,\u00e9\n", "latin-1"), ["x"], ["y"])


def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match="There is no data file"):
        read_table(tmp_path / "none.csv", ["x"], ["y"])
    with pytest.raises(DataError, match=r"expected a file named \.csv, \.parquet or \.npz"):
        read_table(tmp_path / "data.xls", ["x"], ["y"])


def test_the_ending_in_capitals(csv):
    path = csv("x,y\n1,2\n")
    path = path.rename(path.with_suffix(".CSV"))
    assert read_table(path, ["x"], ["y"])[0].tolist() == [[1]]


# Parquet


def test_parquet(parquet):
    path = parquet(x=[1, 2], y=[0.5, -1.0], kind=["b", "a"], sure=[True, False], when=[None, None])
    x, y = read_table(path, ["y", "x", "sure"], ["y"])
    assert x.tolist() == [[0.5, 1, 1], [-1, 2, 0]]
    assert y.tolist() == [[0.5], [-1]]
    assert read_table(path, ["x"], ["kind"])[1].tolist() == [1, 0]


def test_parquet_decimals_are_numbers(parquet):
    path = parquet(x=[Decimal("1.50"), Decimal("2.25")], y=[1, 2])
    assert read_table(path, ["x"], ["y"])[0].tolist() == [[1.5], [2.25]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": [1.0, None], "y": [1, 2]}, "column 'x': row 2 is not a finite number"),
        ({"x": [True, None], "y": [1, 2]}, "column 'x': None in row 2 is not a number"),
        ({"x": [1, 2], "y": ["a", None]}, "column 'y': None in row 2 is not a class"),
        ({"x": [datetime(2020, 1, 1)] * 2, "y": [1, 2]}, "'x' holds datetime64.*expected numbers"),
        ({"xx": [1], "y": [2]}, "no column 'x'; did you mean 'xx'"),
    ],
)
def test_parquet_that_cannot_be_used(parquet, columns, message):
    with pytest.raises(DataError, match=message):
        read_table(parquet(**columns), ["x"], ["y"])


def test_parquet_without_pyarrow(parquet, monkeypatch):
    path = parquet(x=[1], y=[2])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"perceptrain-core\[parquet\]"):
        read_table(path, ["x"], ["y"])


@pytest.mark.parametrize("name", ["data.parquet", "data.npz"])
def test_a_damaged_file(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"not at all")
    with pytest.raises(DataError, match="cannot be read: "):
        read_table(path, ["x"], ["y"])


# NPZ


def test_npz_with_matrices(npz):
    path = npz(x=[[1.0, 2.0], [3.0, 4.0]], z=[5, 6], y=[[[1, 2]], [[3, 4]]])
    x, y = read_table(path, ["z", "x"], ["y"])
    assert x.tolist() == [[5, 1, 2], [6, 3, 4]]
    assert y.tolist() == [[1, 2], [3, 4]]


def test_npz_classes(npz):
    path = npz(x=[1, 2, 3], y=["b", "a", "b"], n=[7, 7, 3], m=[[1], [2], [3]])
    assert read_table(path, ["x"], ["y"])[1].tolist() == [1, 0, 1]
    assert read_table(path, ["x"], ["n"], classes=True)[1].tolist() == [1, 1, 0]
    with pytest.raises(DataError, match=r"column 'm': \[1\] in row 1 is not a class"):
        read_table(path, ["x"], ["m"], classes=True)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": [1, 2], "y": [1]}, "differ in length: {'x': 2, 'y': 1}"),
        ({"x": 1, "y": [1, 2]}, "differ in length"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "has no rows"),
        ({"x": [1j], "y": [1]}, "'x' holds complex128; expected numbers"),
        ({"x": [[1, 2], [3, np.nan]], "y": [1, 2]}, "'x': row 2 is not a finite number"),
    ],
)
def test_npz_that_cannot_be_used(npz, arrays, message):
    with pytest.raises(DataError, match=message):
        read_table(npz(**arrays), ["x"], ["y"])


def test_nothing_is_unpickled(npz):
    path = npz(x=[1, 2], y=[3, 4], notes=np.array([{"a": 1}, print], dtype=object))
    assert read_table(path, ["x"], ["y"])[0].tolist() == [[1], [2]]
    with pytest.raises(DataError, match=r"Object arrays cannot be loaded"):
        read_table(path, ["notes"], ["y"])


# Sample weights


def test_a_column_of_weights(csv, npz):
    path = csv("a,b,w\n1,2,0.5\n3,4,0\n")
    _, _, weights = read_table(path, ["a"], ["b"], weights="w")
    assert weights.dtype == torch.float32
    assert weights.tolist() == [0.5, 0]
    assert len(read_table(path, ["a"], ["b"])) == 2
    with pytest.raises(DataError, match="no column 'v'; "):
        read_table(path, ["a"], ["b"], weights="v")
    with pytest.raises(DataError, match="column 'w': the weight in row 2 is -1; expected at least"):
        read_table(csv("a,b,w\n1,2,0.5\n3,4,-1\n"), ["a"], ["b"], weights="w")
    with pytest.raises(DataError, match="column 'w' has 2 values per row; weights need one"):
        read_table(npz(a=[1, 2], b=[1, 2], w=[[1, 2], [3, 4]]), ["a"], ["b"], weights="w")
