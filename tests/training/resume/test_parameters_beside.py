"""Parameters that neither the model nor the loss has, such as an unknown coefficient."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import FFNN, PINN, TrainConfig, Trainer, WeightedLoss
from perceptrain.errors import CheckpointError


def inverse_problem() -> tuple[PINN, nn.Parameter]:
    """u' = -k u with data of k = 2."""
    torch.manual_seed(0)
    k = nn.Parameter(torch.tensor(1.0))

    def ode(t: Any, u: Any) -> Any:
        (du,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
        return du + k * u(t)

    return PINN(FFNN([1, 8, 1]), {"ode": ode, "data": lambda t, u: u(t) - (-2 * t).exp()}), k


POINTS = {name: torch.linspace(0, 1, 16).unsqueeze(-1) for name in ("ode", "data")}


@pytest.mark.parametrize("loss", ["mse", "weighted"])
def test_a_resumed_run_has_them(loss: str, tmp_path: Path) -> None:
    def fit(folder: str, epochs: int, resume: bool = False) -> tuple[float, list[Any]]:
        model, k = inverse_problem()
        optimizer = torch.optim.Adam([*model.parameters(), k], lr=0.02)
        config = TrainConfig(
            max_iter=epochs, verbose=False, checkpoint_every=1, root_folder=tmp_path / folder
        )
        loss_fn = "mse" if loss == "mse" else WeightedLoss("mse", "gradnorm")
        trainer = Trainer(model, optimizer, config, loss_fn)
        trainer.fit([POINTS], resume=resume)
        return k.item(), [*trainer.history]

    whole = fit("whole", 8)
    half = fit("cut", 4)
    assert half[0] != 1.0
    assert fit("cut", 4, resume=True)[0] == half[0]
    assert fit("cut", 8, resume=True) == whole


def test_a_run_without_them_does_not_go_on(tmp_path: Path) -> None:
    model, k = inverse_problem()
    config = TrainConfig(max_iter=2, verbose=False, checkpoint_every=1, root_folder=tmp_path)
    Trainer(model, torch.optim.SGD([*model.parameters(), k], lr=0.1), config).fit([POINTS])
    k.requires_grad_(False)
    other = Trainer(model, torch.optim.SGD(model.parameters(), lr=0.1), config)
    with pytest.raises(CheckpointError, match="parameters that the optimizer has beside"):
        other.fit([POINTS], resume=True)


@pytest.mark.parametrize("add", [lambda model, k: None, lambda model, k: setattr(model, "k", k)])
def test_one_that_nobody_trains_is_told(add: Callable[[nn.Module, nn.Parameter], None]) -> None:
    model, k = inverse_problem()
    add(model, k)
    trainer = Trainer(model, {"name": "adam", "lr": 0.1}, TrainConfig(max_iter=3, verbose=False))
    if hasattr(model, "k"):
        trainer.fit([POINTS])
        assert k.item() != 1.0
    else:
        with pytest.warns(UserWarning, match=r"1 untrained parameter\(s\), of shape \(\)"):
            trainer.fit([POINTS])


def test_a_part_of_the_model_may_be_left_out() -> None:
    model, k = inverse_problem()
    k.requires_grad_(False)
    head = [*model.nn.parameters()][-2:]
    for parameter in [*model.nn.parameters()][:-2]:
        parameter.requires_grad_(False)
    Trainer(model, torch.optim.SGD(head, lr=0.1), TrainConfig(max_iter=1, verbose=False)).fit(
        [POINTS]
    )
