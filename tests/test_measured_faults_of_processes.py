"""Faults that were measured in a trainer before this one, and are not here: several processes.

The other sections, and what they are, are in ``test_measured_faults.py``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN, TrainConfig, Trainer

# 4. Two processes on a CPU applied every step twice, for they shared the parameters' memory; a PINN
# crashed there; the variables that the launch set leaked into later runs; a checkpoint of two
# processes resumed as untrained weights at a late epoch.


def test_4_two_processes_train_as_one_and_leave_nothing_but_the_weights(tmp_path: Path) -> None:
    points = {"ode": torch.linspace(0, 1, 16).reshape(-1, 1)}

    def decay(t: Tensor, net: nn.Module) -> Tensor:
        (slope,) = torch.autograd.grad(net(t).sum(), t, create_graph=True)
        return slope + net(t)

    def fit(nprocs: int, start: nn.Module, **settings: Any) -> Trainer:
        pinn = PINN(FFNN([1, 8, 1]), {"ode": decay})
        pinn.load_state_dict(start.state_dict())
        plain = {
            "max_iter": 3,
            "shuffle": False,
            "checkpoint_every": 1,
            "verbose": False,
            "tracking_tool": "none",
        }
        config = TrainConfig(
            **(plain | settings),
            nprocs=nprocs,
            batch_size=8 // nprocs,
            root_folder=tmp_path / "runs",
        )
        optimizer = torch.optim.SGD(pinn.parameters(), lr=0.1)
        trainer = Trainer(pinn, optimizer, config, "mse", points)
        trainer.fit()
        return trainer

    start = PINN(FFNN([1, 8, 1]), {"ode": decay})
    alone = fit(1, start, log_folder="alone")
    environment = dict(os.environ)
    together = fit(2, start, log_folder="together")
    assert dict(os.environ) == environment
    assert together.global_step == alone.global_step == 6
    torch.testing.assert_close(together.model.state_dict(), alone.model.state_dict())

    with pytest.warns(UserWarning, match="different (number of processes; 2 then|settings; batch)"):
        resumed = fit(1, start, log_folder="together", resume=True)  # nothing is left to train
    assert all(map(torch.equal, resumed.model.parameters(), together.model.parameters()))
