"""Losses whose steps ``TrainConfig(compile=True)`` records train as without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import TrainConfig, Trainer, get_loss
from perceptrain.errors import CaptureError, DataError
from perceptrain_core.capture import program


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The recorded graphs, which run as they are: compiling takes seconds."""
    graphs: list[Any] = []
    monkeypatch.setattr(program, "_compiled", lambda graph, inputs: graphs.append(graph) or graph)
    return graphs


def batch(classes: int = 4) -> Any:
    return torch.randn(24, 6), torch.arange(24) % classes


def train(name: str, data: Any, compile: str | bool) -> Trainer:
    torch.manual_seed(0)
    config = TrainConfig(max_iter=5, compile=compile, dtype=torch.float64, verbose=False)
    loss_fn = get_loss(name, num_classes=4, embedding_size=5)
    trainer = Trainer(nn.Linear(6, 5), {"name": "adam", "lr": 0.01}, config, loss_fn=loss_fn)
    trainer.fit(data)
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize("name", ["normalized_softmax", "soft_triple"])
def test_captured_steps_are_the_eager_ones(name: str, compiled: list[Any]) -> None:
    data = [batch(), batch()]
    captured, eager = train(name, data, "strict"), train(name, data, False)
    assert len(compiled) == 1
    for part in ("model", "loss_fn"):
        weights = getattr(captured, part).state_dict(), getattr(eager, part).state_dict()
        torch.testing.assert_close(*weights, rtol=1e-9, atol=1e-9)
    for row, expected in zip(captured.history, eager.history, strict=True):
        assert row == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_labels_are_checked_before_a_step_is_recorded() -> None:
    with pytest.raises(DataError, match="The labels go from 0 to 6"):
        train("soft_triple", [batch(7)], "strict")


@pytest.mark.slow
def test_masks_of_the_library_are_named_as_the_reason() -> None:
    with pytest.raises(CaptureError, match="a shape depends on values, by a mask"):
        train("arcface", [batch()], "strict")
