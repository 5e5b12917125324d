from __future__ import annotations

from pathlib import Path
from time import sleep
from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import TrainConfig
from perceptrain.errors import MissingDependencyError, TrainingError
from perceptrain_core.trackers import TensorBoardTracker, tensorboard

pytest.importorskip("tensorboard")


def read_back(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def open_(folder: Path, iteration: int = 0) -> TensorBoardTracker:
    tracker = TensorBoardTracker()
    tracker.open(TrainConfig(log_folder=folder), iteration)
    return tracker


def scalars(folder: Path, name: str) -> dict[int, float]:
    return {event.step: event.value for event in read_back(folder).Scalars(name)}


def test_opening_writes_nothing(tmp_path: Path) -> None:
    open_(tmp_path / "run").close()
    assert list(tmp_path.iterdir()) == []


def test_metrics(tmp_path: Path) -> None:
    tracker = open_(tmp_path)
    tracker.write(1, {"train_loss": 2.0})
    tracker.write(2, {"train_loss": torch.tensor(1.0), "val_loss": 0.5})  # type: ignore[dict-item]
    tracker.close()
    assert scalars(tmp_path, "train_loss") == {1: 2.0, 2: 1.0}
    assert scalars(tmp_path, "val_loss") == {2: 0.5}


def test_resumed_run_hides_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    first = open_(tmp_path)
    for epoch in range(1, 6):
        first.write(epoch, {"train_loss": float(epoch)})
    first.close()
    again = open_(tmp_path, iteration=3)
    again.write(4, {"train_loss": -4.0})
    again.close()
    assert scalars(tmp_path, "train_loss") == {1: 1.0, 2: 2.0, 3: 3.0, 4: -4.0}


def test_settings_pictures_and_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    from matplotlib.figure import Figure

    model = nn.Linear(1, 1)
    tracker = open_(tmp_path)
    tracker.log_hyperparams({"lr": 0.1, "device": torch.device("cpu")})
    tracker.plot(model, 3, (lambda model, iteration: (f"at {iteration}", Figure((1, 1))),))
    tracker.log_model(model)
    tracker.close()
    tags = read_back(tmp_path).Tags()
    assert tags["tensors"] == ["hyperparams/text_summary"]
    assert tags["images"] == ["at 3"]
    state = torch.load(tmp_path / "model.pt", weights_only=True)
    assert torch.equal(state["weight"], model.weight)


@pytest.mark.parametrize("closed", [False, True])
def test_not_open(tmp_path: Path, closed: bool) -> None:
    tracker = open_(tmp_path) if closed else TensorBoardTracker()
    tracker.close()
    with pytest.raises(TrainingError, match="not open"):
        tracker.write(1, {"a": 1.0})


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"perceptrain-core\[tensorboard\]"):
        TensorBoardTracker()


@pytest.mark.slow
def test_validations_inside_epochs_are_a_run_of_their_own_by_step(tmp_path: Path) -> None:
    tracker = open_(tmp_path)
    for step in (10, 20, 30):
        tracker.write_step(step, 1, {"val_loss": step / 10})
    tracker.write(1, {"val_loss": 3.0})
    tracker.close()
    assert scalars(tmp_path, "val_loss") == {1: 3.0}
    assert scalars(tmp_path / "steps", "val_loss") == {10: 1.0, 20: 2.0, 30: 3.0}
    # Resumed after the epoch from a checkpoint between steps 20 and 30. TensorBoard sorts files by
    # their names, which begin with the second.
    sleep(1)
    again = open_(tmp_path, 1)
    again.write_step(30, 2, {"val_loss": 5.0})
    again.close()
    assert scalars(tmp_path / "steps", "val_loss") == {10: 1.0, 20: 2.0, 30: 5.0}
