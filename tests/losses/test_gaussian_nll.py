"""While a step is recorded, the loss computes what torch does without reading the variances."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from perceptrain import FFNN, TrainConfig, Trainer, get_loss
from perceptrain_core.capture import program
from perceptrain_core.capturing import capturing


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(6, 3), (6, 1), (6,)], ids=str)
@pytest.mark.parametrize("options", [{}, {"full": True, "reduction": "sum"}, {"eps": 0.5}], ids=str)
def test_values_and_gradients(
    options: dict[str, Any], shape: tuple[int, ...], weighted: bool
) -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*sizes: int) -> Tensor:
        return torch.rand(sizes, generator=generator, dtype=torch.float64)

    parts = draw(6, 3).requires_grad_(), draw(*shape).requires_grad_()
    batch = (None, draw(6, 3), draw(6)) if weighted else (None, draw(6, 3))
    loss_fn = get_loss("gaussian_nll", **options)

    def evaluate() -> Tensor:
        loss, _ = loss_fn(batch, lambda _: parts)
        return torch.stack([loss, *(g.sum() for g in torch.autograd.grad(loss, parts))])

    expected = evaluate()
    with capturing():
        found = evaluate()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_captured_steps_are_the_eager_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    monkeypatch.setattr(program, "_compiled", lambda graph, _: compiled.append(graph) or graph)
    generator = torch.Generator().manual_seed(0)
    data = [torch.randn(2, 10, 3, generator=generator).unbind()] * 2

    def train(compile: str | bool) -> Trainer:
        torch.manual_seed(0)
        config = TrainConfig(max_iter=5, compile=compile, dtype=torch.float64, verbose=False)
        model = FFNN([3, 8, 6], "tanh")
        trainer = Trainer(model, {"name": "adam", "lr": 0.01}, config, loss_fn="gaussian_nll")
        trainer.fit(data)
        return trainer

    captured, eager = train("strict"), train(False)
    assert len(compiled) == 1
    weights = captured.model.state_dict(), eager.model.state_dict()
    torch.testing.assert_close(*weights, rtol=1e-9, atol=1e-9)
