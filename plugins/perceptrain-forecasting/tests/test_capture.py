"""Losses whose steps ``TrainConfig(compile=True)`` records train as without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import TrainConfig, Trainer, get_loss
from perceptrain.errors import DataError
from perceptrain_core.capture import program

CASES = [
    ("crps", {"distribution": "student_t"}),
    pytest.param("crps", {"distribution": "gamma"}, marks=pytest.mark.slow),
    pytest.param("energy_score", {}, marks=pytest.mark.slow),
    pytest.param("weighted_interval_score", {}, marks=pytest.mark.slow),
]


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The recorded graphs, which run as they are: compiling takes seconds."""
    graphs: list[Any] = []
    monkeypatch.setattr(program, "_compiled", lambda graph, inputs: graphs.append(graph) or graph)
    return graphs


def train(name: str, options: dict[str, Any], data: Any, compile: str | bool) -> Trainer:
    torch.manual_seed(0)
    loss_fn: Any = get_loss(name, **options)
    model = nn.Linear(2, loss_fn.output_size(2, **options))
    config = TrainConfig(max_iter=3, compile=compile, dtype=torch.float64, verbose=False)
    trainer = Trainer(model, {"name": "adam", "lr": 0.01}, config, loss_fn=loss_fn)
    trainer.fit([data, data])
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), CASES)
def test_captured_steps_are_the_eager_ones(
    name: str, options: dict[str, Any], compiled: list[Any]
) -> None:
    data = torch.randn(5, 2), torch.rand(5, 2)
    captured, eager = train(name, options, data, "strict"), train(name, options, data, False)
    assert len(compiled) == 1
    weights = captured.model.state_dict(), eager.model.state_dict()
    torch.testing.assert_close(*weights, rtol=1e-9, atol=1e-9)


def test_labels_are_checked_before_a_step_is_recorded() -> None:
    with pytest.raises(DataError, match="1 of 2 labels are NaN"):
        train("crps", {}, (torch.randn(1, 2), torch.tensor([[1.0, torch.nan]])), "strict")
