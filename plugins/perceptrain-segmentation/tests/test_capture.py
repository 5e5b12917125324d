"""Losses whose steps ``TrainConfig(compile=True)`` records train as without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import TrainConfig, Trainer, get_loss
from perceptrain.errors import CaptureError, DataError
from perceptrain_core.capture import program

NAMES = ["dice_ce", "generalized_dice_focal", "mcc", "tversky"]


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The recorded graphs, which run as they are: compiling takes seconds."""
    graphs: list[Any] = []
    monkeypatch.setattr(program, "_compiled", lambda graph, inputs: graphs.append(graph) or graph)
    return graphs


def batch(top: int = 3) -> Any:
    return torch.randn(2, 1, 8, 8), torch.randint(0, top, (2, 8, 8))


def train(loss_fn: Any, data: Any, compile: str | bool) -> Trainer:
    torch.manual_seed(0)
    config = TrainConfig(max_iter=5, compile=compile, dtype=torch.float64, verbose=False)
    model = nn.Conv2d(1, 3, 3, padding=1)
    trainer = Trainer(model, {"name": "adam", "lr": 0.01}, config, loss_fn=loss_fn)
    trainer.fit(data)
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_captured_steps_are_the_eager_ones(name: str, compiled: list[Any]) -> None:
    data = [batch(), batch()]
    captured, eager = train(name, data, "strict"), train(name, data, False)
    assert len(compiled) == 1
    weights = captured.model.state_dict(), eager.model.state_dict()
    torch.testing.assert_close(*weights, rtol=1e-9, atol=1e-9)
    for row, expected in zip(captured.history, eager.history, strict=True):
        assert row == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_labels_are_checked_before_a_step_is_recorded() -> None:
    with pytest.raises(DataError, match="The labels go from 0 to 8"):
        train(get_loss("dice"), [batch(9)], "strict")


@pytest.mark.parametrize("name", ["soft_cldice", "soft_dice_cldice"])
def test_gradients_at_ties_are_left_to_eager_steps(name: str) -> None:
    with pytest.raises(CaptureError, match=r"base.py, line \d+: logits"):
        train(name, [batch()], "strict")
