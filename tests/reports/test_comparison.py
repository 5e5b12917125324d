from __future__ import annotations

from statistics import mean, stdev

import pytest

from perceptrain_core.reports.comparison import (
    differences_table,
    figures,
    folds_table,
    results_table,
    stages_table,
)
from perceptrain_core.reports.reported_run import read_run, read_runs

from .conftest import METRICS, TABLES


def cell(table, row, column):
    return dict(table.rows)[row][table.head.index(column) - 1]


def test_the_best_figure_is_marked_where_better_is_known(make_run):
    one = make_run("one", test={"test_accuracy": 0.75, "test_profit": 1.0})
    two = make_run(
        "two",
        METRICS.replace("1.0,0.5,", "1.0,0.125,"),
        test={"test_accuracy": 0.5, "test_profit": 2.0},
    )
    table = results_table(read_runs([one, two]))
    assert cell(table, "one", "epoch") == "4"
    best = [
        (name, column)
        for name, cells in table.rows
        for column, figure in zip(table.head[1:], cells, strict=True)
        if getattr(figure, "best", False)
    ]
    assert best == [("one", "test_accuracy"), ("two", "val_loss")]


@pytest.mark.parametrize(
    ("table", "values", "marked"),
    [
        ("loss", {"name": "focal"}, {"test_accuracy"}),
        ("weighting", {"name": "random"}, {"test_accuracy"}),
        ("data", {"name": "wine", "scale_labels": True}, {"test_accuracy"}),
        ("data", {"name": "digits"}, set()),
        ("optimizer", {"name": "sgd"}, {"test_accuracy", "test_loss"}),
    ],
)
def test_losses_of_another_kind_and_other_data_have_no_best(make_run, table, values, marked):
    base = TABLES | {"data": {"name": "wine"}}
    one = make_run("one", tables=base, test={"test_accuracy": 0.75, "test_loss": 1.0})
    two = make_run(
        "two", tables=base | {table: values}, test={"test_accuracy": 0.5, "test_loss": 2.0}
    )
    found = results_table(read_runs([one, two]))
    best = {
        column
        for _, cells in found.rows
        for column, figure in zip(found.head[1:], cells, strict=True)
        if getattr(figure, "best", False)
    }
    assert best == marked


def test_a_metric_that_a_run_lacks_is_empty(make_run):
    table = results_table(read_runs([make_run("one", test={"test_loss": 1.0}), make_run("two")]))
    assert cell(table, "two", "test_loss") is None


def test_only_what_differs_is_listed(make_run):
    other = TABLES | {"optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9}}
    other["train"] = {"max_iter": 4, "log_folder": "elsewhere"}
    other["provenance"] = {"versions": {"python": "3.11.7", "torch": "2.14.0"}}
    runs = read_runs([make_run("one"), make_run("two", tables=other)])
    assert differences_table(runs).rows == [
        ("optimizer.name", ["adam", "sgd"]),
        ("versions.torch", ["2.13.0", "2.14.0"]),
        ("optimizer.momentum", ["-", "0.9"]),
    ]
    assert differences_table([runs[0], runs[0]]).rows == []


def make_folds(make_run, values):
    folder = make_run("folds", metrics=None, tables=TABLES | {"data": {"folds": 3}})
    for number, value in enumerate(values, start=1):
        others = {} if value is None else {"val__json": f'{{"val_loss": {value}}}'}
        make_run(f"folds/fold_{number}", **others)
    return folder


def test_folds_have_a_mean_and_a_deviation(make_run):
    values = [0.5, 0.75, 1.5]
    record = read_run(make_folds(make_run, values), "folds")
    assert record.notes == []
    figure = figures(record)["val_loss"]
    assert (figure.value, figure.std) == pytest.approx((mean(values), stdev(values)))
    table = folds_table(record)
    assert [name for name, _ in table.rows][-2:] == ["mean", "standard deviation"]
    assert cell(table, "fold_2", "val_loss").value == 0.75


def test_missing_folds_are_reported(make_run):
    record = read_run(make_folds(make_run, [0.5, None]), "folds")
    assert record.notes == ["1 of 3 folds are complete."]
    assert figures(record)["val_loss"].std is None
    assert cell(folds_table(record), "fold_2", "val_loss") is None


def test_the_stages_of_one_run(make_run):
    table = stages_table(read_run(make_run(test={"test_loss": 2.0}), "wine"))
    assert [cell(table, "loss", c).value for c in table.head[1:]] == [0.25, 0.375, 0.5, 2.0]
