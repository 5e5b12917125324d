from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import TrainConfig
from perceptrain.errors import TrainingError
from perceptrain_core.trackers import CSVTracker


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[CSVTracker]:
    tracker = CSVTracker()
    tracker.open(TrainConfig(log_folder=tmp_path / "run"))
    yield tracker
    tracker.close()


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


def test_settings(tracker: CSVTracker) -> None:
    tracker.log_hyperparams({"lr": 0.1, "device": torch.device("cpu"), "layers": [1, 2]})
    found = json.loads((tracker.folder / "hyperparams.json").read_text())
    assert found == {"lr": 0.1, "device": "cpu", "layers": [1, 2]}


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


def test_model(tracker: CSVTracker) -> None:
    model = nn.Linear(2, 1)
    tracker.log_model(model)
    state = torch.load(tracker.folder / "model.pt", weights_only=True)
    assert torch.equal(state["weight"], model.weight)


@pytest.mark.parametrize("closed", [False, True])
def test_not_open(tmp_path: Path, closed: bool) -> None:
    tracker = CSVTracker()
    if closed:
        tracker.open(TrainConfig(log_folder=tmp_path))
        tracker.close()
    with pytest.raises(TrainingError, match=r"not open: call open\(config\) first"):
        tracker.write(1, {"a": 1.0})
