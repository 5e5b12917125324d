"""Losses whose steps ``TrainConfig(compile=True)`` records train as without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from perceptrain import FFNN, PINN, TrainConfig, Trainer, get_loss
from perceptrain_core.capture import program
from perceptrain_physics import laplacian

SIZES = {"pde": 12, "start": 5}
EQUATIONS = {"pde": lambda x, u: laplacian(u(x), x) + 1, "start": lambda x, u: u(x) - 1}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("causal", {}),
    # Three of its stages pass within the run.
    ("causal", {"epsilon": [0.001, 0.002, 0.003, 0.1, 100.0], "slabs": 4, "delta": 0.9}),
    ("residual_attention", {}),
    ("self_adaptive", {"sizes": SIZES}),
]


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The recorded graphs, which run as they are: compiling takes seconds."""
    graphs: list[Any] = []
    monkeypatch.setattr(program, "_compiled", lambda graph, inputs: graphs.append(graph) or graph)
    return graphs


def train(loss_fn: Any, compile: str | bool) -> Trainer:
    torch.manual_seed(0)
    config = TrainConfig(max_iter=8, compile=compile, dtype=torch.float64, verbose=False)
    model = PINN(FFNN([2, 6, 1], "tanh"), EQUATIONS)
    trainer = Trainer(model, {"name": "adam", "lr": 0.01}, config, loss_fn=loss_fn)
    trainer.fit([{name: torch.rand(size, 2) for name, size in SIZES.items()}])
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), CASES)
def test_captured_steps_are_the_eager_ones(
    name: str, options: dict[str, Any], compiled: list[Any]
) -> None:
    captured, eager = (train(get_loss(name, **options), c) for c in ("strict", False))
    assert len(compiled) == 1
    for part in ("model", "loss_fn"):
        weights = getattr(captured, part).state_dict(), getattr(eager, part).state_dict()
        torch.testing.assert_close(*weights, rtol=1e-9, atol=1e-9)
    for row, expected in zip(captured.history, eager.history, strict=True):
        assert row == pytest.approx(expected, rel=1e-9, abs=1e-9)
    if "epsilon" in options:
        assert captured.loss_fn.stage == 3
