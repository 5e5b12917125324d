"""The bare loops of the benchmark take the steps of the trainer."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from benchmarks.pinn_problems import SETUPS
from benchmarks.second_order_overhead import HAND, by_hand, points_of
from benchmarks.turns import Feed
from perceptrain import TrainConfig, Trainer


class Over(Exception):
    """Ends a loop."""


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", HAND)
def test_bare_loops_take_the_steps_of_the_trainer(optimizer: str) -> None:
    epochs = 0

    def start_epoch() -> None:
        nonlocal epochs
        epochs += 1
        if epochs == 4:
            raise Over

    torch.manual_seed(0)
    setup = SETUPS["poisson"]()
    model = setup.problem.pinn(hidden=(4,)).double()
    points = {name: rows.double() for name, rows in points_of(setup).items()}
    trained = deepcopy(model)
    with pytest.raises(Over):
        by_hand(HAND[optimizer][0], model, Feed([points], start_epoch))
    config = TrainConfig(max_iter=3, dtype=torch.float64, verbose=False)
    Trainer(trained, optimizer, config, loss_fn="mse").fit([points])
    for own, other in zip(model.parameters(), trained.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-6, atol=1e-9)
