from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from perceptrain import OptimizeResult, TrainConfig
from perceptrain_core.trackers import NoTracker, Tracker, format_metrics


@pytest.mark.parametrize("kind", [Tracker, NoTracker])
def test_every_method_does_nothing_but_print(
    kind: type[Tracker], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker, model = kind(), nn.Linear(1, 1)
    tracker.open(TrainConfig(log_folder=tmp_path))
    tracker.write(1, {"a": 1.0})
    tracker.log_hyperparams({"a": 1})
    tracker.plot(model, 1, ())
    tracker.log_model(model)
    tracker.print_metrics(OptimizeResult(3, model, None, metrics={"train_loss": 0.25}))
    tracker.fail(ValueError())
    tracker.close()
    assert capsys.readouterr().out == "epoch      3  train_loss 0.25\n"
    assert list(tmp_path.iterdir()) == []


def test_numbers_have_six_digits() -> None:
    metrics = {"train_loss": torch.tensor(1 / 3), "train_big": 12345678.0}
    line = format_metrics(OptimizeResult(12, nn.Linear(1, 1), None, metrics=metrics))
    assert line == "epoch     12  train_loss 0.333333  train_big 1.23457e+07"
