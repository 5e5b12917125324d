"""Two processes that would train different models, or on different data."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import TrainConfig, Trainer, to_dataloader
from perceptrain.errors import TrainingError
from perceptrain_core.engine import make_engine
from perceptrain_core.engine.launch import run_in_processes

from ...shared import pickled_by_value

X = torch.linspace(-1, 1, 48).view(24, 2)


class Sharded(list[Any]):
    """Batches of this process, which others need not have as many of."""

    sharded = True


def fit(model: nn.Module, data: Any, loss_fn: Any = "mse") -> str:
    """Return the error of a fit, without the advice."""
    parameters = [*model.parameters()]
    if isinstance(loss_fn, nn.Module):
        parameters += loss_fn.parameters()
    config = TrainConfig(max_iter=2, batch_size=2, verbose=False, tracking_tool="none")
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    try:
        Trainer(model, optimizer, config, loss_fn, data).fit()
    except TrainingError as error:
        return str(error).partition(". ")[0].removeprefix("The processes differ in ")
    return "no error"


class Scaled(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))

    def forward(self, batch: Any, model: nn.Module) -> Any:
        return (model(batch[0]) * self.scale).square().mean(), {}


def frozen(model: nn.Linear, rank: int) -> nn.Module:
    model.bias.requires_grad_(rank == 0)
    return model


def run_cases() -> Any:
    torch.set_num_threads(1)
    engine = make_engine()
    rank = engine.rank
    rows, batches = (X, X[:, :1]), [(part, part[:, :1]) for part in X.split(2)]
    points = {"a": to_dataloader(X[: 24 - 2 * rank], batch_size=2)}
    own = {
        "shapes": fit(nn.Linear(2, 1 + rank), rows),
        "dtypes": fit(nn.Linear(2, 1).to(torch.float64 if rank else torch.float32), rows),
        "numbers": fit(nn.Sequential(nn.Linear(2, 1), *[nn.Linear(1, 1)] * rank), rows),
        "frozen": fit(frozen(nn.Linear(2, 1), rank), rows),
        "loss": fit(nn.Linear(2, 1), rows, Scaled(1 + rank)),
        "batches": fit(nn.Linear(2, 1), batches[: 12 - rank]),
        "rows": fit(nn.Linear(2, 1), tuple(part[: 24 - rank] for part in rows)),
        "parts": fit(nn.Linear(2, 1), points, lambda b, m: (m(b["a"]).square().mean(), {})),
        "same": fit(nn.Linear(2, 1), batches),
        "sharded": fit(nn.Linear(2, 1), Sharded(batches[: 12 - rank])),
    }
    return engine.gather(own)


EXPECTED = {
    "shapes": "parameter 'weight' of the model: of shape (1, 2) and torch.float32 in process 0; of "
    "shape (2, 2) and torch.float32 in process 1",
    "dtypes": "parameter 'weight' of the model: of shape (1, 2) and torch.float32 in process 0; of "
    "shape (1, 2) and torch.float64 in process 1",
    "numbers": "parameter '1.weight' of the model: missing in process 0; of shape (1, 1) and "
    "torch.float32 in process 1",
    "frozen": "parameter 'bias' of the model: of shape (1,) and torch.float32 in process 0; of "
    "shape (1,) and torch.float32, frozen in process 1",
    "loss": "parameter 'scale' of the loss: of shape (1,) and torch.float32 in process 0; of shape "
    "(2,) and torch.float32 in process 1",
    "batches": "the number of batches in the training data: 12 in process 0; 11 in process 1",
    "rows": "the number of rows in the training data: 24 in process 0; 23 in process 1",
    "parts": "the number of batches in the training data 'a': 12 in process 0; 11 in process 1",
    "same": "no error",
    "sharded": "no error",
}


@pytest.fixture(scope="module")
def both(forked_workers: None) -> list[dict[str, str]]:
    with pickled_by_value(__name__):
        return run_in_processes(run_cases, 2)


@pytest.mark.parametrize("name", EXPECTED)
def test_processes_that_differ_raise_the_same_error(both: list[dict[str, str]], name: str) -> None:
    for each in both:
        assert each[name] == EXPECTED[name]
