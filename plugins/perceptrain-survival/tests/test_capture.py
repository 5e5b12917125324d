"""Losses whose steps ``TrainConfig(compile=True)`` records train as without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import TrainConfig, Trainer
from perceptrain.errors import DataError
from perceptrain_core.capture import program
from perceptrain_survival import weibull_times

LOSSES: list[tuple[Any, int]] = [
    ("cox", 1),
    ({"name": "hazard", "grid": [0, 1, 2]}, 3),
]


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The recorded graphs, which run as they are: compiling takes seconds."""
    graphs: list[Any] = []
    monkeypatch.setattr(program, "_compiled", lambda graph, inputs: graphs.append(graph) or graph)
    return graphs


def train(loss: Any, width: int, data: Any, compile: str | bool) -> Trainer:
    torch.manual_seed(0)
    config = TrainConfig(max_iter=4, compile=compile, dtype=torch.float64, verbose=False)
    trainer = Trainer(nn.Linear(4, width), {"name": "adam", "lr": 0.01}, config, loss)
    trainer.fit(data)
    return trainer


@pytest.mark.parametrize(("loss", "width"), LOSSES)
def test_captured_steps_are_the_eager_ones(loss: Any, width: int, compiled: list[Any]) -> None:
    data = [weibull_times(20), weibull_times(20)]
    data[1][1][:, 0] = 0  # a batch without an event, after the step is recorded
    captured, eager = train(loss, width, data, "strict"), train(loss, width, data, False)
    assert len(compiled) == 1
    weights = captured.model.state_dict(), eager.model.state_dict()
    torch.testing.assert_close(*weights, rtol=1e-9, atol=1e-9)


def test_times_are_checked_before_a_step_is_recorded() -> None:
    inputs, labels = weibull_times(20)
    with pytest.raises(DataError, match="The time of row 0 is -"):
        train("cox", 1, [(inputs, labels * torch.tensor([1, -1]))], "strict")
