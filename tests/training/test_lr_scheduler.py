"""Learning-rate schedulers by name, in a whole run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau

from perceptrain import Callback, Trainer
from perceptrain.errors import CheckpointError, OptionError

MakeTrainer = Callable[..., Trainer]


def rates(make_trainer: MakeTrainer, fits: int = 1, **settings: Any) -> list[float]:
    """Train, and give the learning rate after each epoch."""
    seen: list[float] = []

    def look(trainer: Any, config: Any, writer: Any) -> None:
        seen.append(trainer.optimizer.param_groups[0]["lr"])

    trainer = make_trainer(callbacks=[Callback("train_epoch_end", 1, look)], **settings)
    for _ in range(fits):
        trainer.fit()
    return seen


def adam() -> torch.optim.Optimizer:
    return torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=0.01)


def test_by_epochs(make_trainer: MakeTrainer) -> None:
    seen = rates(make_trainer, max_iter=6, lr_scheduler="cosine_annealing")
    optimizer = adam()
    scheduler = CosineAnnealingLR(optimizer, T_max=6)
    for rate in seen:
        optimizer.step()
        scheduler.step()
        assert rate == scheduler.get_last_lr()[0]


@pytest.mark.parametrize("accumulate", [1, 3])
def test_by_steps_of_the_optimizer(make_trainer: MakeTrainer, accumulate: int) -> None:
    wanted = {"name": "one_cycle", "max_lr": 0.1}
    seen = rates(make_trainer, max_iter=4, lr_scheduler=wanted, accumulate=accumulate)
    steps = 4 if accumulate == 1 else 2
    optimizer = adam()
    scheduler = OneCycleLR(optimizer, max_lr=0.1, total_steps=4 * steps)
    expected = []
    for number in range(1, 4 * steps):
        optimizer.step()
        scheduler.step()
        if number % steps == 0:
            expected.append(scheduler.get_last_lr()[0])
    assert seen[:-1] == expected


def test_by_the_validation(make_trainer: MakeTrainer, rows: Any) -> None:
    wanted = {"name": "reduce_on_plateau", "patience": 0, "threshold": 10.0, "factor": 0.5}
    trainer = make_trainer(max_iter=6, val=rows, val_every=2, lr_scheduler=wanted)
    trainer.fit()
    optimizer = adam()
    scheduler = ReduceLROnPlateau(optimizer, patience=0, threshold=10.0, factor=0.5)
    for row in trainer.history:
        if "val_loss" in row:
            scheduler.step(row["val_loss"])
    assert trainer.optimizer.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"] < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", {"name": "adam_lbfgs", "switch_epoch": 2}])
def test_the_second_fit_has_the_same_rates(make_trainer: MakeTrainer, optimizer: Any) -> None:
    settings = {"max_iter": 4, "lr_scheduler": "linear", "optimizer": optimizer}
    seen = rates(make_trainer, fits=2, **settings)
    assert seen[:4] == seen[4:]


def test_a_longer_run_cannot_go_on_with_a_cycle_that_is_over(make_trainer: MakeTrainer) -> None:
    wanted = {"name": "one_cycle", "max_lr": 0.1}
    make_trainer(max_iter=2, checkpoint_every=1, lr_scheduler=wanted).fit()
    longer = make_trainer(max_iter=3, lr_scheduler=wanted)
    before = [p.detach().clone() for p in longer.model.parameters()]
    with pytest.raises(CheckpointError, match="was made for total_steps=8"):
        longer.fit(resume=True)
    assert all(map(torch.equal, before, longer.model.parameters()))


def test_an_option_that_it_does_not_take(make_trainer: MakeTrainer) -> None:
    with pytest.raises(OptionError, match="step_siz"):
        make_trainer(lr_scheduler={"name": "step", "step_siz": 3}).fit()
