from __future__ import annotations

from math import exp
from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import FFNN, TrainConfig, Trainer, WeightedLoss
from perceptrain_core.capture import program
from perceptrain_core.weightings.dwa import DWA


def test_averages_over_windows_by_hand(step):
    """Averages 3 and 1, then 1 and 1: the ratios are 1/3 and 1."""
    weighting = DWA(2, temperature=0.5)
    for a in (4.0, 2.0, 1.5):
        assert set(step(weighting, {"a": a, "b": 1.0}).values()) <= {1.0}
    weights = step(weighting, {"a": 0.5, "b": 1.0})
    shares = [exp(2 / 3), exp(2)]
    assert [*weights.values()] == pytest.approx([2 * s / sum(shares) for s in shares])
    assert step(weighting, {"a": 9.0, "b": 9.0}) == weights  # until the window ends
    weights = step(weighting, {"a": 9.0, "b": 9.0})
    assert [*weights.values()] == pytest.approx([1, 1])
    assert weighting.memory["mean"]["a"] == 9


def test_a_term_that_is_not_in_every_batch_has_the_average_of_those_where_it_is(step):
    weighting = DWA(2)
    for terms in ({"a": 2.0, "b": 4.0}, {"a": 2.0}, {"a": 2.0, "b": 1.0}, {"a": 2.0, "b": 3.0}):
        weights = step(weighting, terms)
    shares = [exp(1 / 2), exp(0.5 / 2)]
    assert [*weights.values()] == pytest.approx([2 * s / sum(shares) for s in shares])


@pytest.mark.slow
@pytest.mark.parametrize("window", [1, 3])
def test_captured_steps_are_the_eager_ones(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    monkeypatch.setattr(program, "_compiled", lambda graph, _: compiled.append(graph) or graph)
    data = [torch.randn(2, 10, 1, generator=torch.Generator().manual_seed(0)).unbind()]

    def tasks(batch: Any, model: nn.Module) -> Any:
        outputs = model(batch[0])
        terms = {"a": (outputs - batch[1]).square().mean(), "b": outputs.abs().mean()}
        return terms["a"] + terms["b"], terms

    def train(compile: str | bool) -> Trainer:
        torch.manual_seed(0)
        config = TrainConfig(max_iter=70, compile=compile, dtype=torch.float64, verbose=False)
        loss_fn = WeightedLoss(tasks, {"name": "dwa", "window": window})
        trainer = Trainer(FFNN([1, 4, 1], "tanh"), "adam", config, loss_fn=loss_fn)
        trainer.fit(data)
        return trainer

    captured, eager = train("strict"), train(False)
    # At the end of a window, and within one: before there are weights, and after.
    assert len(compiled) == (1 if window == 1 else 3)
    for row, expected in zip(captured.history, eager.history, strict=True):
        assert row == pytest.approx(expected, rel=1e-9, abs=1e-9)
    memories = [trainer.loss_fn.weighting.memory for trainer in (captured, eager)]
    assert [memory["steps"] for memory in memories] == [70, 70]
    assert memories[0]["sum"].keys() == memories[1]["sum"].keys()
