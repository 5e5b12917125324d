"""Losses whose steps ``TrainConfig(compile=True)`` records train as without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from perceptrain import FFNN, TrainConfig, Trainer, get_loss
from perceptrain.errors import CaptureError, DataError
from perceptrain_core.capture import program

CASES: list[tuple[str, dict[str, Any]]] = [
    ("energy", {}),
    ("gaussian_mmd", {"blur": 0.5}),
    ("sinkhorn", {"diameter": 3.0, "reach": 0.5}),
]


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The recorded graphs, which run as they are: compiling takes seconds."""
    graphs: list[Any] = []
    monkeypatch.setattr(program, "_compiled", lambda graph, inputs: graphs.append(graph) or graph)
    return graphs


def batch(lowest: float = 0.1) -> dict[str, Any]:
    weights = torch.rand(9) + lowest
    return {
        "inputs": torch.randn(12, 3),
        "points": torch.rand(9, 2),
        "weights": weights / weights.sum(),
    }


def train(loss_fn: Any, data: Any, compile: str | bool) -> Trainer:
    torch.manual_seed(0)
    config = TrainConfig(max_iter=5, compile=compile, dtype=torch.float64, verbose=False)
    trainer = Trainer(FFNN([3, 8, 2]), {"name": "adam", "lr": 0.01}, config, loss_fn=loss_fn)
    trainer.fit(data)
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), CASES)
def test_captured_steps_are_the_eager_ones(
    name: str, options: dict[str, Any], compiled: list[Any]
) -> None:
    data = [batch(), batch()]
    captured, eager = (train(get_loss(name, **options), data, c) for c in ("strict", False))
    assert len(compiled) == 1
    weights = captured.model.state_dict(), eager.model.state_dict()
    torch.testing.assert_close(*weights, rtol=1e-9, atol=1e-9)
    for row, expected in zip(captured.history, eager.history, strict=True):
        assert row == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_weights_are_checked_before_a_step_is_recorded() -> None:
    with pytest.raises(DataError, match="Weights must not be negative"):
        train(get_loss("energy"), [batch(lowest=-0.5)], "strict")


def test_the_number_of_iterations_depends_on_a_diameter_that_is_not_given() -> None:
    with pytest.raises(CaptureError, match=r"\.item\(\) \(sinkhorn.py"):
        train(get_loss("sinkhorn"), [batch()], "strict")
