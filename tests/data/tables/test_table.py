"""Tables with labels: the part of each column, and missing values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perceptrain_core.data.tables.table import TableOptions, read_table
from perceptrain_core.errors import DataError

GAPS = "id,age,town,y\na,1,u,1\nb,,v,2\nc,3,,3\nd,4,v,\ne,,u,5\n"


def test_all_columns_but_labels_weights_and_groups(csv):
    path = csv("a,g,y,w,b\n1,p,3,0.5,x\n2,q,4,0,z\n")
    table = read_table(path, TableOptions(["y"], weights="w", group="g"))
    assert (table.inputs, table.labels, table.rows) == (["a", "b"], ["y"], 2)
    assert (table.categories, table.classes, table.notes) == ({"b": ("x", "z")}, None, [])
    assert table.weights is not None
    assert (table.weights.dtype, table.weights.tolist()) == (torch.float32, [0.5, 0])
    assert table.groups is not None
    assert table.groups.tolist() == [0, 1]
    chosen = read_table(path, TableOptions(["y", "w"], ["b", "a"]))
    assert (chosen.inputs, chosen.labels) == (["b", "a"], ["y", "w"])


def test_classes(csv):
    path = csv("x,kind,n\n1,cat,10\n2, ant,9\n3,cat,10\n")
    assert read_table(path, TableOptions(["kind"])).classes == ("ant", "cat")
    assert read_table(path, TableOptions(["n"])).classes is None
    numbers = read_table(path, TableOptions(["n"], classes=True))
    assert numbers.classes == (9, 10)  # in the order of the numbers, and as such
    assert all(type(name) is int for name in numbers.classes)
    assert numbers.class_numbers is not None
    assert numbers.class_numbers.tolist() == [1, 0, 1]


def test_classes_that_are_not_all_whole(csv):
    table = read_table(csv("x,n\n1,1\n2,0.5\n3,1\n"), TableOptions(["n"], classes=True))
    assert table.classes == (0.5, 1.0)
    assert table.class_numbers is not None
    assert table.class_numbers.tolist() == [1, 0, 1]


def test_numbers_that_are_declared_as_categories(csv):
    path = csv("zip,floor,day,y\n01067,1,2024-01-01,1\n80331,2,2024-01-02,2\n01067,10,,3\n")
    options = TableOptions(["y"], categorical=["zip", "f*", "day"], missing="fill")
    table = read_table(path, options)
    assert table.categories == {
        "zip": ("01067", "80331"),  # as the file has them
        "floor": ("1", "10", "2"),
        "day": ("2024-01-01", "2024-01-02"),
    }
    assert list(table.columns["floor"]) == ["1", "2", "10"]
    with pytest.raises(DataError, match="'y', which is not an input"):
        read_table(path, TableOptions(["y"], categorical=["y"]))
    with pytest.raises(DataError, match="no column 'flor'; did you mean 'floor'"):
        read_table(path, TableOptions(["y"], categorical=["flor"]))
    many = csv("code,y\n" + "".join(f"{i},{i}\n" for i in range(101)))
    with pytest.raises(DataError, match=r"'code' has 101 different texts.*at most 100"):
        read_table(many, TableOptions(["y"], categorical=["code"]))


def test_missing_values_are_named(csv):
    message = (
        r"column 'age' has 2 missing values of 5, first in row 2; column 'town' has 1 missing "
        r"value of 5, first in row 3; column 'y' has 1 missing value of 5, first in row 4\. Set "
        'missing = "drop"'
    )
    with pytest.raises(DataError, match=message):
        read_table(csv(GAPS), TableOptions(["y"], ["!id"]))
    header = ",".join(f"c{i}" for i in range(15))
    path = csv(f"{header},y\n{'1,' * 15}1\n{',' * 15}1\n")
    with pytest.raises(DataError, match="and 5 more columns"):
        read_table(path, TableOptions(["y"]))


def test_rows_are_dropped(csv):
    table = read_table(csv(GAPS), TableOptions(["y"], missing="drop"))
    assert table.columns["id"].tolist() == ["a"]
    assert table.notes == [
        "Dropped 4 of 5 rows, with 2 values of 'age', 1 value of 'town', 1 value of 'y' missing."
    ]


def test_inputs_are_filled_and_labels_are_not(csv):
    table = read_table(csv(GAPS), TableOptions(["y"], missing="fill"))
    assert table.columns["id"].tolist() == ["a", "b", "c", "e"]
    np.testing.assert_array_equal(table.columns["age"], [1, np.nan, 3, np.nan])
    assert table.notes == [
        "Filled 2 values of 'age', 1 value of 'town'.",
        "Dropped 1 of 5 rows, with 1 value of 'y' missing.",
    ]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,y\n1,2\n", TableOptions(["z"]), "there is no column 'z'; the columns are a, y"),
        ("a,y\n1,2\n", TableOptions(["y"], ["y"]), "column 'y' is both an input and a label"),
        ("a,y\n,2\n", TableOptions(["y"], missing="drop"), "'a' has no values: leave it out with"),
        ("a,b,y\n,1,2\n1,,2\n", TableOptions(["y"], missing="drop"), "no row is complete"),
        ("a,y\n1,2\n", TableOptions(["y", "a"], classes=True), "no column is left"),
        (
            "a,b,y\n1,2,3\n",
            TableOptions(["y", "b"], classes=True),
            "a single label column, not y",
        ),
        (
            "a,y,w\n1,2,1\n1,2,-1\n",
            TableOptions(["y"], weights="w"),
            "weight in row 2 is -1; ex",
        ),
        ("a,y,w\n1,2,1e39\n", TableOptions(["y"], weights="w"), "the weight in row 1 is inf"),
        (
            "a,y,w\n1,2,x\n",
            TableOptions(["y"], weights="w"),
            "column 'w': 'x' in row 1; expected a n",
        ),
        ("a,y\n2020-01-01,2\n", TableOptions(["y"]), "column 'a' holds dates"),
        ("a,y\n1,2020-01-01\n", TableOptions(["y"]), "column 'y' holds dates.*another label"),
    ],
)
def test_tables_that_cannot_be_used(csv, text, options, message):
    with pytest.raises(DataError, match=message):
        read_table(csv(text), options)


def test_groups_of_numbers_and_text(csv):
    for values in (["7", "10", "7"], ["p", "10", "p"]):
        path = csv("a,g,y\n" + "".join(f"1,{value},2\n" for value in values))
        groups = read_table(path, TableOptions(["y"], group="g")).groups
        assert groups is not None
        assert groups[0] == groups[2] != groups[1]
