from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from perceptrain import TrainConfig, Trainer
from perceptrain.callbacks import WriteMetrics
from perceptrain.errors import TrainingError
from perceptrain_core.trackers import CSVTracker


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[CSVTracker]:
    tracker = CSVTracker()
    tracker.open(TrainConfig(log_folder=tmp_path / "run"))
    yield tracker
    tracker.close()


def opened(folder: str | Path, iteration: int = 0) -> CSVTracker:
    tracker = CSVTracker()
    tracker.open(TrainConfig(log_folder=folder), iteration)
    return tracker


def table(tracker: CSVTracker) -> dict[str, list[float | None]]:
    with (tracker.folder / "metrics.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    cells = zip(*rows, strict=True)
    return {
        name: [float(cell) if cell else None for cell in column]
        for name, column in zip(header, cells, strict=True)
    }


def test_opening_writes_nothing(tracker: CSVTracker, tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == []


def test_a_row_is_on_the_disk_at_once(tracker: CSVTracker) -> None:
    tracker.write(1, {"train_loss": torch.tensor(0.5)})  # type: ignore[dict-item]
    assert (tracker.folder / "metrics.csv").read_text().split() == ["epoch,train_loss", "1,0.5"]


def test_metrics_that_come_later_get_columns_of_their_own(tracker: CSVTracker) -> None:
    tracker.write(1, {"train_loss": 3.0})
    tracker.write(2, {"train_loss": 2.0, "val_loss": 2.5})
    tracker.write(3, {"train_loss": 1.0, "train_term": 0.25})
    found = table(tracker)
    assert list(found) == ["epoch", "train_loss", "val_loss", "train_term"]
    assert found["epoch"] == [1, 2, 3]
    assert found["train_loss"] == [3.0, 2.0, 1.0]
    assert found["val_loss"] == [None, 2.5, None]
    assert found["train_term"] == [None, None, 0.25]


def test_numbers_are_written_in_full(tracker: CSVTracker) -> None:
    value = 0.1 + 1e-17 + 2**-40
    tracker.write(1, {"train_loss": value})
    assert float((tracker.folder / "metrics.csv").read_text().split(",")[-1]) == value


def test_resumed_run_goes_on_after_its_checkpoint(tracker: CSVTracker) -> None:
    for epoch in range(1, 6):
        tracker.write(epoch, {"train_loss": float(epoch)})
    again = CSVTracker()
    again.open(TrainConfig(log_folder=tracker.folder), iteration=3)
    again.write(4, {"train_loss": -4.0})
    again.write(5, {"train_loss": -5.0})
    assert table(tracker)["epoch"] == [1, 2, 3, 4, 5]
    assert table(tracker)["train_loss"] == [1.0, 2.0, 3.0, -4.0, -5.0]


@given(st.data())
def test_table_cut_short_by_a_kill(data: st.DataObject) -> None:
    """Wherever it was cut: whole rows stay, the run goes on, and every row is a true one."""
    with TemporaryDirectory() as folder:
        first = opened(folder)
        for epoch in range(1, 13):
            first.write(epoch, {"train_loss": epoch / 7, 'a "name", with\nall': float(epoch)})
        path = Path(folder) / "metrics.csv"
        whole, before = path.read_bytes(), table(first)["epoch"]
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        again = opened(folder, 11)
        again.write(12, {"train_loss": -1.0, "later": 2.0})
        found = table(again)
        *kept, last = found["epoch"]
        assert last == 12
        assert kept == before[: len(kept)]
        assert len(kept) >= min(whole[:cut].count(b"\r\n") - 1, 11)
        assert found["train_loss"][:-1] == [(epoch or 0) / 7 for epoch in kept]


@pytest.mark.parametrize("damage", [b"", b"\xff\x00\x00\n\x00", b"a,b\r\n1,2\r\n", b"\x00" * 99])
def test_table_that_cannot_be_read_is_written_anew(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "metrics.csv").write_bytes(damage)
    tracker = opened(tmp_path, 3)
    tracker.write(4, {"train_loss": 1.0})
    assert table(tracker) == {"epoch": [4.0], "train_loss": [1.0]}


def test_rows_that_are_damaged_are_left_out(tmp_path: Path) -> None:
    rows = ["epoch,a", "1,0.5", "2", "x,1", "3,1,1", "", "4,0.25", ""]
    (tmp_path / "metrics.csv").write_text("\n".join(rows))
    tracker = opened(tmp_path, 9)
    tracker.write(10, {"a": 0.125})
    assert table(tracker) == {"epoch": [1, 4, 10], "a": [0.5, 0.25, 0.125]}


def test_each_batch_has_a_row(make_trainer: Callable[..., Trainer], tmp_path: Path) -> None:
    callback = WriteMetrics(on="train_batch_end")
    trainer = make_trainer(callbacks=[callback], root_folder=tmp_path)
    trainer.fit()
    tracker = opened(trainer.log_folder)
    assert table(tracker)["epoch"] == [1, 1, 1, 1, 2, 2, 2, 2]


def test_not_a_number(tracker: CSVTracker) -> None:
    tracker.write(1, {"a": float("nan"), "b": float("-inf")})
    assert (tracker.folder / "metrics.csv").read_text().split() == ["epoch,a,b", "1,nan,-inf"]


def test_settings(tracker: CSVTracker) -> None:
    tracker.log_hyperparams({"lr": 0.1, "device": torch.device("cpu"), "layers": [1, 2]})
    found = json.loads((tracker.folder / "hyperparams.json").read_text())
    assert found == {"lr": 0.1, "device": "cpu", "layers": [1, 2]}


def test_settings_with_keys_of_any_kind(tracker: CSVTracker) -> None:
    tracker.log_hyperparams({"net": {1: "a", (2, 3): {None: "b"}}})
    found = json.loads((tracker.folder / "hyperparams.json").read_text())
    assert found == {"net": {"1": "a", "(2, 3)": {"None": "b"}}}


def test_pictures_are_saved_and_let_go(
    tracker: CSVTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    from matplotlib import pyplot

    def draw(model: nn.Module, iteration: int) -> tuple[str, Any]:
        figure, axes = pyplot.subplots(figsize=(1, 1))
        axes.plot([0, iteration])
        return "line", figure

    tracker.plot(nn.Linear(1, 1), 7, (draw,))
    assert (tracker.folder / "line_000007.png").read_bytes().startswith(b"\x89PNG")
    assert pyplot.get_fignums() == []


def test_pictures_of_any_name(tracker: CSVTracker) -> None:
    from matplotlib.figure import Figure

    tracker.plot(nn.Linear(1, 1), 1, (lambda model, iteration: ("net/layer: 1\\2", Figure()),))
    assert (tracker.folder / "net_layer_ 1_2_000001.png").exists()


@pytest.mark.parametrize("given", [None, ("name",), ("name", 3), (3, 3)])
def test_no_picture(tracker: CSVTracker, given: Any) -> None:
    def draw(model: nn.Module, iteration: int) -> Any:
        return given

    with pytest.raises(
        TrainingError, match=r"'?draw'? returned .*; expected a name and a matplotlib"
    ):
        tracker.plot(nn.Linear(1, 1), 1, (draw,))


def test_a_plotting_function_with_other_arguments(tracker: CSVTracker) -> None:
    with pytest.raises(TrainingError, match=r"cannot be called with two arguments; expected plot"):
        tracker.plot(nn.Linear(1, 1), 1, (lambda model: ("name", None),))  # type: ignore[arg-type]


@pytest.mark.parametrize("closed", [False, True])
def test_not_open(tmp_path: Path, closed: bool) -> None:
    tracker = CSVTracker()
    if closed:
        tracker.open(TrainConfig(log_folder=tmp_path))
        tracker.close()
    with pytest.raises(TrainingError, match=r"not open: call open\(config\) first"):
        tracker.write(1, {"a": 1.0})
