"""What goes to the tracker, beside metrics and pictures, and the tracker by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from perceptrain import Trainer
from perceptrain.callbacks import LogHyperparameters, LogModelTracker, get_writer
from perceptrain.errors import RegistryError, TrainingError
from perceptrain.types import ExperimentTrackingTool
from perceptrain_core.callbacks.base import Callback
from perceptrain_core.trackers import CSVTracker, NoTracker, TensorBoardTracker, Tracker

MakeTrainer = Callable[..., Trainer]


def hyperparams(trainer: Trainer) -> Any:
    return json.loads((trainer.log_folder / "hyperparams.json").read_text())


def test_hyperparameters_that_are_given(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(callbacks=[LogHyperparameters(hyperparams={"depth": 3})])
    trainer.fit()
    assert hyperparams(trainer) == {"depth": 3}


def test_hyperparameters_of_the_settings(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(callbacks=[LogHyperparameters(1)], hyperparams={"lr": 0.1})
    trainer.fit()
    assert hyperparams(trainer) == {"lr": 0.1}


def test_no_hyperparameters(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(callbacks=["log_hyperparameters"])
    trainer.fit()
    assert not trainer.log_folder.exists()


@pytest.mark.parametrize("given", [{}, {"on": "train_epoch_end", "called_every": 2}])
def test_model(make_trainer: MakeTrainer, given: dict[str, Any]) -> None:
    trainer = make_trainer(callbacks=[LogModelTracker(**given)])
    trainer.fit()
    state = torch.load(trainer.log_folder / "model.pt", weights_only=True)
    torch.testing.assert_close(state, trainer.model.state_dict(), rtol=0, atol=0)


def test_model_with_its_data(
    make_trainer: MakeTrainer, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, ...]] = []
    monkeypatch.setattr(CSVTracker, "log_model", lambda self, *given: seen.append(given))
    trainer = make_trainer(val=rows, callbacks=["log_model_tracker"])
    trainer.fit()
    assert seen == [(trainer.model, trainer.train_dataloader, rows, None)]


@pytest.mark.parametrize(
    ("tool", "kind"),
    [
        ("csv", CSVTracker),
        ("none", NoTracker),
        ("tensorboard", TensorBoardTracker),
        (ExperimentTrackingTool.CSV, CSVTracker),
        (None, TensorBoardTracker),
    ],
)
def test_get_writer(tool: Any, kind: type[Tracker]) -> None:
    assert type(get_writer(tool)) is kind


def test_no_such_writer() -> None:
    with pytest.raises(RegistryError, match="tensorbord"):
        get_writer("tensorbord")


def test_something_else_by_that_name(tmp_path: Path) -> None:
    (tmp_path / "trackers.py").write_text("def mine():\n    return 3\n")
    with pytest.raises(TrainingError, match="returned int; expected an instance of"):
        get_writer(f"{tmp_path}/trackers.py:mine")


def test_a_fit_begins_and_ends_for_every_callback(make_trainer: MakeTrainer) -> None:
    told: list[Any] = []

    class Telling(Callback):
        def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
            told.append(self.on.value)

        def begin_run(self, trainer: Any, resumed: bool) -> None:
            told.append(("begin", trainer.current_epoch, resumed))

        def end_run(self, trainer: Any) -> None:
            told.append(("end", trainer.current_epoch, len(trainer.history)))

    start, end = Telling("train_start"), Telling("train_end")
    make_trainer(callbacks=[start, end], checkpoint_every=1).fit()
    once = [("begin", 0, False)] * 2 + ["train_start"] + [("end", 2, 2)] * 2 + ["train_end"]
    assert told == once
    told.clear()
    more = Telling("val_epoch_end")
    trainer = make_trainer(callbacks=[start, more], max_iter=3)
    trainer.fit(resume=True)  # the checkpoint knows the first of them only
    assert told[:2] == [("begin", 2, True), ("begin", 2, True)]
