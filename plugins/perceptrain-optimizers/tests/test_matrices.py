"""Optimizers that draw random numbers take the same step in all processes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from perceptrain import FFNN, TrainConfig, Trainer


def trained(nprocs: int) -> Tensor:
    x = torch.linspace(-1, 1, 24, dtype=torch.float64).unsqueeze(1)
    torch.manual_seed(0)
    model = FFNN([1, 8, 1]).double()
    config = TrainConfig(
        max_iter=10, batch_size=8 // nprocs, nprocs=nprocs, shuffle=False, seed=5, verbose=False
    )
    Trainer(model, "kron", config, "mse").fit((x, x.sin()))
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.slow
def test_two_processes_are_one_with_the_doubled_batch() -> None:
    torch.testing.assert_close(trained(2), trained(1), rtol=1e-9, atol=1e-12)
