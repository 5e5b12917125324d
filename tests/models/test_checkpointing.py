"""Activation checkpointing changes neither results nor names, and computes modules twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer
from perceptrain.errors import ConfigError, TrainingError
from perceptrain_core.models.checkpointing import activation_checkpointing


class Block(nn.Module):
    """Counts its calls, and draws random numbers."""

    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop = nn.Linear(4, 4), nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        Block.calls += 1
        return x + self.drop(self.layer(x).tanh())


def net() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(Block(), Block(), nn.Linear(4, 1))


def mse(batch: Any, model: nn.Module) -> Any:
    return (model(batch[0]) - batch[1]).square().mean(), {}


def second_derivative(batch: Any, model: nn.Module) -> Any:
    x = batch[0].clone().requires_grad_()
    with torch.enable_grad():
        (first,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    return second.square().mean(), {}


def train(folder: Path, loss_fn: Any, which: Any) -> nn.Module:
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(2))
    model = net()
    config = TrainConfig(
        max_iter=3,
        batch_size=4,
        seed=3,
        verbose=False,
        tracking_tool="none",
        root_folder=folder,
        activation_checkpointing=which,
    )
    Trainer(model, torch.optim.Adam(model.parameters(), 0.1), config, loss_fn, (x, x[:, :1])).fit()
    return model


@pytest.mark.parametrize("loss_fn", [mse, second_derivative])
@pytest.mark.parametrize("which", [True, [Block], ["0", "1"], lambda name, module: name == "1"])
def test_results_and_names_stay(which: Any, loss_fn: Any, tmp_path: Path) -> None:
    plain, less = train(tmp_path, loss_fn, False), train(tmp_path, loss_fn, which)
    assert list(less.state_dict()) == list(plain.state_dict())
    torch.testing.assert_close(less.state_dict(), plain.state_dict(), rtol=1e-6, atol=1e-7)
    assert "forward" not in {name for module in less.modules() for name in vars(module)}


def test_blocks_are_computed_twice(tmp_path: Path) -> None:
    Block.calls = 0
    train(tmp_path, mse, False)
    before, Block.calls = Block.calls, 0
    train(tmp_path, mse, True)
    assert Block.calls == 2 * before


def test_a_model_without_blocks_is_one() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    with activation_checkpointing(model, True):
        assert "forward" in vars(model)
    assert "forward" not in vars(model)


def test_unknown_modules() -> None:
    with (
        pytest.raises(TrainingError, match="'Missing'"),
        activation_checkpointing(net(), ["Missing"]),
    ):
        pass


@pytest.mark.parametrize("given", [0, [], [3], 0.5])
def test_faults(given: Any) -> None:
    with pytest.raises(ConfigError, match="activation_checkpointing"):
        TrainConfig(activation_checkpointing=given)
