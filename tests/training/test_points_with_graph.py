"""Training on points that were computed from a tensor with ``requires_grad``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from perceptrain import Trainer
from perceptrain_core.data import DictDataLoader, to_dataloader
from perceptrain_core.models import FFNN, PINN
from perceptrain_core.training.steppers.optimize_step import optimize_step

MakeTrainer = Callable[..., Trainer]

START = torch.linspace(0, 1, 20).reshape(-1, 1)
LABELS = torch.sin(START)


def points() -> Tensor:
    return START.clone().requires_grad_() * 2 - 1


def own_step(model: Any, optimizer: Any, loss_fn: Any, xs: Any, device: Any, dtype: Any) -> Any:
    optimizer.zero_grad()
    loss, metrics = loss_fn(xs, model)
    loss.backward()
    optimizer.step()
    return loss, metrics


KINDS = {
    "tensors": lambda x: (x, LABELS),
    "loader": lambda x: to_dataloader(x, LABELS, batch_size=5),
    "loader of torch": lambda x: DataLoader(TensorDataset(x, LABELS), batch_size=5),
    "list": lambda x: [(x[:10], LABELS[:10]), (x[10:], LABELS[10:])],
}


@pytest.mark.parametrize("step", [optimize_step, own_step])
@pytest.mark.parametrize("kind", KINDS)
def test_the_fit_is_that_of_points_without_a_graph(
    make_trainer: MakeTrainer, kind: str, step: Any
) -> None:
    histories = []
    for x in (points(), points().detach()):
        torch.manual_seed(0)
        trainer = make_trainer(
            "mse",
            data=KINDS[kind](x),
            model=nn.Linear(1, 1),
            seed=1,
            options={"optimize_step": step},
        )
        trainer.fit()
        histories.append(trainer.history)
    assert len(histories[0]) > 1
    assert histories[0] == histories[1]


def test_a_pinn_with_lbfgs(make_trainer: MakeTrainer) -> None:
    def decay(t: Tensor, u: nn.Module) -> Tensor:
        (slope,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
        return slope + u(t)

    torch.manual_seed(0)
    model = PINN(FFNN([1, 4, 1]), {"ode": decay})
    data = DictDataLoader({"ode": to_dataloader(points(), batch_size=20)})
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1)
    trainer = make_trainer("mse", data=data, model=model, optimizer=optimizer)
    trainer.fit()
    assert trainer.history[-1]["train_loss"] < trainer.history[0]["train_loss"]


def test_points_that_are_trained_still_are(make_trainer: MakeTrainer) -> None:
    x = START.clone().requires_grad_()
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD([*model.parameters(), x], lr=0.1)
    trainer = make_trainer("mse", data=(x, LABELS), model=model, optimizer=optimizer)
    trainer.fit()
    assert not torch.equal(x, START)
