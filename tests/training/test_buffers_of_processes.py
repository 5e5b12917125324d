"""Each process updates buffers with its own rows; the trained model has those of the first."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer
from perceptrain_core.engine.launch import run_in_processes

X = torch.arange(16.0).unsqueeze(1)


class Largest(nn.Module):
    """Remembers the largest input, in a new tensor at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen = torch.maximum(self.seen, x.max())
        return self.linear(x)  # type: ignore[no-any-return]


class CountingLoss(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(()))

    def forward(self, batch: Any, model: nn.Module) -> Any:
        x, y = batch
        self.total += x.sum()
        return (model(x) - y).square().mean(), {}


def trained(model: nn.Module, loss_fn: Any = "mse", **settings: Any) -> dict[str, Tensor]:
    config = TrainConfig(max_iter=2, batch_size=4, shuffle=False, verbose=False, **settings)
    trainer = Trainer(model, {"name": "sgd", "lr": 1e-4}, config, loss_fn)
    trainer.fit((X, X.cos()))
    loss = loss_fn.state_dict() if isinstance(loss_fn, nn.Module) else {}
    return {**dict(model.named_buffers()), **loss}


def all_cases() -> dict[str, Any]:
    from perceptrain_core.engine import make_engine

    def averages() -> nn.Module:
        return nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))

    buffers = {
        "batch_norm": trained(averages()),
        "moving_average": trained(averages(), ema=0.5),
        "assigned": trained(Largest()),
        "loss": trained(nn.Linear(1, 1), CountingLoss()),
    }
    return {"both": make_engine().gather(buffers)}


@pytest.fixture(scope="module")
def processes(forked_workers: None) -> list[dict[str, Any]]:
    return run_in_processes(all_cases, 2)["both"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("case", ["batch_norm", "moving_average", "assigned", "loss"])
def test_all_processes_end_with_the_buffers_of_the_first(
    processes: list[dict[str, Any]], case: str
) -> None:
    first, second = (process[case] for process in processes)
    assert first
    for name, buffer in first.items():
        assert torch.equal(buffer, second[name])


def test_the_first_process_saw_its_own_rows(processes: list[dict[str, Any]]) -> None:
    assert processes[0]["assigned"]["seen"] == X[::2].max()
