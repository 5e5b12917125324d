"""One reader for all that read the metrics of a run, whole or cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from perceptrain_core.errors import DataError
from perceptrain_core.metrics_file import read_rows, read_table


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


def test_numbers_without_empty_cells(file: Path) -> None:
    file.write_text("epoch,train_loss,val_loss\n2,3.5,\n4,1e-3,0.25\n")
    assert read_rows(file) == [
        {"epoch": 2, "train_loss": 3.5},
        {"epoch": 4, "train_loss": 1e-3, "val_loss": 0.25},
    ]


def test_the_row_that_a_killed_run_cut_is_left_out(file: Path) -> None:
    file.write_text("epoch,train_loss\n1,0.5\n2,0.2")
    assert read_rows(file) == [{"epoch": 1, "train_loss": 0.5}]
    assert read_table(file) == (["epoch", "train_loss"], [{"epoch": "1", "train_loss": "0.5"}])


def test_the_text_of_numbered_rows_alone(file: Path) -> None:
    file.write_text("step,epoch,a\n10,1,0.50\nx,1,2\n\n3\n")
    assert read_table(file, "step") == (
        ["step", "epoch", "a"],
        [{"step": "10", "epoch": "1", "a": "0.50"}],
    )
    assert read_table(file, "number") == ([], [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch,a\n1,two\n", "line 2, column 'a': expected a number, got 'two'"),
        ("epoch,a\nnan,1\n", "line 2: expected a finite epoch"),
        ("epoch,a\n1,\udcff\n", "invalid start byte"),
        # scipy.io, once imported, lifts Python's limit.
        (f'epoch,a\n1,"{"x" * 200_000}"\n', "field larger than field limit|got 'x{40}'"),
    ],
)
def test_what_are_no_metrics(file: Path, text: str, message: str) -> None:
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=message):
        read_rows(file)


def test_no_file_and_no_rows(file: Path) -> None:
    for path in (file, file / "metrics.csv"):
        assert read_rows(path) == []
        assert read_table(path) == ([], [])
        file.touch()
