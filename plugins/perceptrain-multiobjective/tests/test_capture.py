"""Weightings whose steps ``TrainConfig(compile=True)`` records train as without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchjd.aggregation as tjd
from torch import Tensor, nn

from perceptrain import FFNN, TrainConfig, Trainer, WeightedLoss, get_weighting
from perceptrain_core.capture import program

NAMES = ["pcgrad", "imtl_g", "aligned_mtl", "config"]
#: Rules that torchjd computes with values, and that this plugin computes without reading them.
RULES: list[tuple[str, dict[str, Any], Any]] = [
    ("pcgrad", {}, tjd.PCGradWeighting()),
    ("imtl_g", {}, tjd.IMTLGWeighting()),
    *(
        ("aligned_mtl", {"scale_mode": mode}, tjd.AlignedMTLWeighting(scale_mode=mode))
        for mode in ("min", "median", "rmse")
    ),
]


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The recorded graphs, which run as they are: compiling takes seconds."""
    graphs: list[Any] = []
    monkeypatch.setattr(program, "_compiled", lambda graph, inputs: graphs.append(graph) or graph)
    return graphs


@pytest.fixture
def data() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(8, 2, generator=generator), torch.randn(8, 3, generator=generator))] * 2


def tasks(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    errors = (model(batch[0]) - batch[1]).square().mean(0)
    terms = dict(zip("abc", errors.unbind(), strict=True))
    return errors.sum(), terms


def still(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """Like `tasks`, with gradients that are all zero."""
    terms = {name: 0 * term + 1 for name, term in tasks(batch, model)[1].items()}
    return terms["a"], terms


def train(weighting: str, loss_fn: Any, data: Any, compile: str | bool) -> Trainer:
    torch.manual_seed(0)
    config = TrainConfig(max_iter=5, compile=compile, dtype=torch.float64, verbose=False, seed=1)
    loss_fn = WeightedLoss(loss_fn, weighting)
    model = FFNN([2, 4, 3], "tanh")
    trainer = Trainer(model, {"name": "adam", "lr": 0.01}, config, loss_fn=loss_fn)
    trainer.fit(data)
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_captured_steps_are_the_eager_ones(name: str, data: Any, compiled: list[Any]) -> None:
    captured, eager = (train(name, tasks, data, compile) for compile in ("strict", False))
    assert len(compiled) == 1
    weights = captured.model.state_dict(), eager.model.state_dict()
    torch.testing.assert_close(*weights, rtol=1e-9, atol=1e-9)
    for row, expected in zip(captured.history, eager.history, strict=True):
        assert row == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*gradient")
@pytest.mark.parametrize("name", NAMES)
def test_gradients_that_are_zero_leave_the_weights(
    name: str, data: Any, compiled: list[Any]
) -> None:
    row = train(name, still, data, "strict").history[-1]
    assert len(compiled) == 1
    assert [row[f"train_weight_{term}"] for term in "abc"] == [1, 1, 1]


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("name", "options", "rule"), RULES)
def test_the_rules_are_those_of_torchjd(
    name: str, options: dict[str, Any], rule: Any, rank: int
) -> None:
    own = get_weighting(name, **options).make_rule("abcde", None)
    for seed in range(5):
        torch.manual_seed(seed)
        matrix = torch.randn(5, rank, dtype=torch.float64)
        matrix = matrix @ torch.randn(rank, 30, dtype=torch.float64)
        gramian = matrix @ matrix.T
        torch.manual_seed(seed)
        expected = rule(gramian)
        torch.manual_seed(seed)
        torch.testing.assert_close(own(gramian), expected, rtol=1e-6, atol=1e-8)
