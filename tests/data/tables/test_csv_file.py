"""CSV files as people have them, each value against what was written by hand."""

from __future__ import annotations

import csv as standard
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perceptrain_core.data.tables.read import column_names, iterate_columns, read_columns
from perceptrain_core.errors import DataError


def plain(columns):
    return {
        name: [None if value != value else value for value in column.tolist()]
        for name, column in columns.items()
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,x\n-4e-1,y\n", {"a": [1, -0.4], "b": ["x", "y"]}),
        ("a, b\n 1 , x \n+2,y", {"a": [1, 2], "b": ["x", "y"]}),
        ("a;b\n1,5;x\n2;y\n", {"a": [1.5, 2], "b": ["x", "y"]}),
        ("a;b\n1.5;x,y\n", {"a": [1.5], "b": ["x,y"]}),
        ("a;b\n1.546,80;-2.101\n-2;\n", {"a": [1546.8, -2], "b": [-2101, None]}),
        ("a;b\n1.546,80;01.02.2024\n2;2.5\n", {"a": [1546.8, 2], "b": ["01.02.2024", "2.5"]}),
        ("a\tb\n1\tx, y; z\n", {"a": [1], "b": ["x, y; z"]}),
        ("a|b\r\n1|2\r\n", {"a": [1], "b": [2]}),
        ("a\n1\n2\n", {"a": [1, 2]}),
        ("a,b\n\n1,2\n\n\n3,4\n\n", {"a": [1, 3], "b": [2, 4]}),
        (
            "a,b\n1,NA\n?,n.a.\n,x\n-,None\n",
            {"a": [1, None, None, None], "b": [None, "n.a.", "x", None]},
        ),
        ("a,b\nnan,null\n2, NaN \n", {"a": [None, 2], "b": [None, None]}),
        ("a\nTrue\nFALSE\nyes\n", {"a": ["true", "false", "yes"]}),
        ("id\n9007199254740993\n1\n", {"id": ["9007199254740993", "1"]}),
        ("x\n1e300\n6.02e23\n", {"x": [1e300, 6.02e23]}),
        ("a\n01\n2\nx\n", {"a": ["01", "2", "x"]}),
        ('"a ""q"", c",b\n"x\ny",2\n', {'a "q", c': ["x\ny"], "b": [2]}),
        ('"two\nlines",b\n1,2\n', {"two\nlines": [1], "b": [2]}),
        (",a\n0,5\n1,6\n", {"a": [5, 6]}),
        ("Unnamed: 0,a,\n0,5,\n", {"a": [5]}),
        ("0,1\n5,6\n", {"0": [5], "1": [6]}),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_files_as_they_come(csv, text, expected, encoding):
    assert plain(read_columns(csv(text, encoding))) == expected


def test_names_separator_and_text(csv):
    path = csv("a:b:c\n1:02:x\n")
    assert plain(read_columns(path, ["c", "a"], separator=":")) == {"c": ["x"], "a": [1]}
    assert plain(read_columns(path, ["b"], separator=":", text=["b"])) == {"b": ["02"]}
    assert column_names(csv(",b\n1,2\n")) == ["b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", r"data\.csv: line 3: expected 2 values, as in the header, not 1\."),
        ('a,b\n"x\ny",2\n3,4,5\n', r"line 4: expected 2 values"),
        ("a,a\n1,2\n", "there are several columns 'a': rename them"),
        ("a,b\n", r"data\.csv: the file has no rows"),
        ("a,b", "the file has no rows"),
        ("", "the file is empty"),
        ("\n\n", "the file has only blank lines"),
        (
            "5.1,3.5,setosa\n4.9,3.0,setosa\n",
            "first line has numbers, such as 5.1, where the names",
        ),
        ("a,b\n1,\0\n", "the file has zero bytes, so it is not text: save"),
        (",\n1,2\n", "the file has no columns"),
    ],
)
def test_files_that_cannot_be_used(csv, text, message):
    with pytest.raises(DataError, match=message):
        read_columns(csv(text))


@pytest.mark.parametrize("text", ["caf\u00e9,b\n1,2\n", "a,b\nx,1\n" * 40000 + "\u00e9,1\n"])
def test_another_encoding(csv, text):
    with pytest.raises(DataError, match="not encoded in UTF-8, but perhaps in Latin-1, Windows"):
        read_columns(csv(text, "latin-1"))


def test_a_separator_that_is_none(csv):
    with pytest.raises(DataError, match="separator = ';;': expected one character"):
        read_columns(csv("a;;b\n"), separator=";;")


def test_text_late_in_a_file_keeps_its_form(csv):
    path = csv("a,b\n" + "01,1\n" * 300_000 + "x,2\n")
    columns = read_columns(path)
    assert columns["a"].tolist() == ["01"] * 300_000 + ["x"]
    assert columns["b"].tolist() == [1.0] * 300_000 + [2.0]
    first = next(iterate_columns(path, rows=10, text=["a"]))
    assert plain(first) == {"a": ["01"] * 10, "b": [1] * 10}


def test_chunks_are_the_whole(csv):
    numbers = np.random.default_rng(0).normal(size=(100_000, 3))
    buffer = io.StringIO()
    np.savetxt(buffer, numbers, delimiter=",", header="a,b,c", comments="", fmt="%.17g")
    path = csv(buffer.getvalue())
    chunks = list(iterate_columns(path, ["c", "a"], rows=1000))
    assert max(len(chunk["a"]) for chunk in chunks) == 1000
    whole = np.stack([np.concatenate([chunk[name] for chunk in chunks]) for name in ("a", "c")])
    np.testing.assert_array_equal(whole, numbers[:, [0, 2]].T)
    np.testing.assert_array_equal(read_columns(path)["b"], numbers[:, 1])


def test_a_hundred_thousand_columns(csv):
    names = [f"c{i}" for i in range(100_000)]
    path = csv(f"{','.join(names)}\n{','.join(['1'] * 100_000)}\n{','.join(['2.5'] * 100_000)}\n")
    columns = read_columns(path, ["c99999", "c0"])
    assert plain(columns) == {"c99999": [1, 2.5], "c0": [1, 2.5]}


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8).filter(
    lambda text: text.strip() == text
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8), st.sampled_from(",;\t|"))
def test_what_the_standard_library_writes_is_read_back(csv, rows, separator):
    buffer = io.StringIO()
    writer = standard.writer(buffer, delimiter=separator, quoting=standard.QUOTE_ALL)
    writer.writerows([("first", "second"), *rows, ("text", "text")])
    columns = read_columns(csv(buffer.getvalue()), separator=separator, text=["first", "second"])
    missing = {
        "",
        "NA",
        "N/A",
        "n/a",
        "#N/A",
        "<NA>",
        "NaN",
        "nan",
        "null",
        "NULL",
        "None",
        "?",
        "-",
    }
    spelled = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        expected = [None if v in missing else spelled.get(v, v) for v in values]
        assert columns[name].tolist()[:-1] == expected
