"""Each term of a validation is a mean over all points of its condition, in batches of any size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import FFNN, PINN, DictDataLoader, TrainConfig, Trainer, get_loss, to_dataloader

RANDOM = torch.Generator().manual_seed(8)
POINTS = {
    name: torch.rand(rows, 2, dtype=torch.float64, generator=RANDOM)
    for name, rows in (("pde", 15), ("edge", 7))
}
LOSSES: dict[str, dict[str, Any]] = {
    "causal": {"epsilon": 0.5},
    "residual_attention": {},
    "self_adaptive": {"sizes": {"pde": 15}},
}


def trainer_for(name: str, **settings: Any) -> Trainer:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net = FFNN([2, 5, 1], nn.Tanh()).double()
    model = PINN(net, {"pde": lambda x, u: u(x) - x, "edge": lambda x, u: u(x)})
    config = TrainConfig(verbose=False, tracking_tool="none", **settings)
    loss = get_loss(name, **LOSSES[name])
    return Trainer(model, {"name": "sgd", "lr": 0.01}, config, loss)


def points(batch_size: int) -> DictDataLoader:
    return DictDataLoader({n: to_dataloader(p, batch_size=batch_size) for n, p in POINTS.items()})


@pytest.mark.parametrize("name", LOSSES)
def test_a_validation_is_that_of_all_points(name: str) -> None:
    trainer = trainer_for(name)
    truth = {f"val_{n}": r.square().mean().item() for n, r in trainer.model(POINTS).items()}
    truth["val_loss"] = sum(truth.values())
    for batch_size in (2, 4, 7, 10, 15):
        assert trainer.validate(points(batch_size)) == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_weights_of_points_need_whole_batches(name: str) -> None:
    trainer = trainer_for(name, max_iter=1, accumulate=2)
    with pytest.warns(UserWarning, match="depends on all rows of a batch.*accumulate=2"):
        trainer.fit([POINTS, POINTS])
