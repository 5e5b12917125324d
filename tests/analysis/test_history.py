"""The history of a run: a list, a table, a picture."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from perceptrain import Trainer
from perceptrain_core.analysis.history import History
from perceptrain_core.checkpoints.file import read_file
from perceptrain_core.errors import DataError, MissingDependencyError

ROWS = [{"train_loss": 2.0}, {"train_loss": 1.5, "val_loss": 1.75}, {"train_loss": 1.0}]


def test_it_is_a_list() -> None:
    history = History(ROWS)
    assert history == ROWS
    assert history[1:] == ROWS[1:]
    assert list(history) == ROWS
    assert repr(history[1:]) == repr(ROWS[1:])


def test_it_is_shown_in_a_line() -> None:
    assert repr(History()) == "History(0 epochs)"
    assert repr(History([{"train_acc": 0.5, "train_loss": 1 / 3}])) == (
        "History(1 epoch, train_loss 0.3333, train_acc 0.5)"
    )
    assert repr(History(ROWS)) == "History(3 epochs, train_loss 1)"
    many = {f"train_{i}": float(i) for i in range(9)}
    shown = "train_0 0, train_1 1, train_2 2, train_3 3, ..."
    assert repr(History([many])) == f"History(1 epoch, {shown})"


def test_a_table() -> None:
    table = History(ROWS).to_dataframe()
    index = pd.Index([1, 2, 3], name="epoch")
    columns = {"train_loss": [2.0, 1.5, 1.0], "val_loss": [None, 1.75, None]}
    expected = pd.DataFrame(columns, index=index, dtype="float64")
    pd.testing.assert_frame_equal(table, expected, check_index_type=False)


def test_a_table_of_nothing() -> None:
    assert History().to_dataframe().empty


def test_without_pandas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "perceptrain-core\[pandas\]"'):
        History(ROWS).to_dataframe()


def test_a_picture(tmp_path: Path) -> None:
    figure = History(ROWS).plot(tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.get_lines()] == ["train_loss", "val_loss"]
    assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["no/such/folder.png", "curves.xyz"])
def test_a_picture_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot be written to .*: .* Expected a file such"):
        History(ROWS).plot(tmp_path / name)


def test_a_metric_is_not_an_index() -> None:
    with pytest.raises(DataError, match=r"history\[-1\]\['train_loss'\], or history.to_dataframe"):
        History(ROWS)["train_loss"]  # type: ignore[call-overload]
    assert History(ROWS)[0] == ROWS[0]


def test_no_picture_of_nothing() -> None:
    with pytest.raises(DataError, match="nothing to draw"):
        History().plot()


def test_a_run_has_one_before_and_after_a_resume(
    make_trainer: Callable[..., Trainer], rows: Any
) -> None:
    trainer = make_trainer(max_iter=2, checkpoint_every=1, val=rows, val_every=2)
    trainer.fit()
    trainer.history.plot()
    (newest, _) = sorted(trainer.log_folder.glob("*.pt"), reverse=True)
    assert type(read_file(newest)["history"]) is list
    again = make_trainer(max_iter=3, checkpoint_every=1, val=rows, val_every=2)
    again.fit(resume=True)
    assert again.history[:2] == trainer.history
    assert again.history.to_dataframe()["val_loss"].count() == 1
