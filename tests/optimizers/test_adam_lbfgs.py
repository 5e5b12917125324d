from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import LBFGS, Adam, Optimizer
from torch.optim.lr_scheduler import StepLR

from perceptrain import Callback, Trainer, get_optimizer, load_checkpoint, write_checkpoint
from perceptrain.errors import ConfigError, TrainingError
from perceptrain.optimizers import AdamLBFGS

from ..shared import mse_closure, same

Rows = tuple[Tensor, Tensor]
Net = Callable[..., nn.Module]
ADAM = {"lr": 0.02, "betas": (0.8, 0.99), "weight_decay": 0.01}
LBFGS_ = {"lr": 0.7, "max_iter": 4, "history_size": 5, "line_search_fn": "strong_wolfe"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(model: nn.Module, switch_epoch: int = 3) -> AdamLBFGS:
    return AdamLBFGS(model.parameters(), switch_epoch, ADAM, LBFGS_)


def step(model: nn.Module, optimizer: Optimizer, rows: Rows) -> Tensor:
    loss = optimizer.step(mse_closure(model, optimizer, rows))  # type: ignore[arg-type]
    assert isinstance(loss, Tensor)
    return loss.detach()


@pytest.mark.parametrize("switch_epoch", [0, 1, 3, 9])
def test_equals_adam_before_and_lbfgs_after_the_switch(
    rows: Rows, make_net: Net, switch_epoch: int
) -> None:
    ours, theirs = make_net(), make_net()
    optimizer = make(ours, switch_epoch)
    adam, lbfgs = Adam(theirs.parameters(), **ADAM), LBFGS(theirs.parameters(), **LBFGS_)
    for epoch in range(1, 8):
        optimizer.begin_epoch(epoch)
        other: Optimizer = lbfgs if epoch > switch_epoch else adam
        assert optimizer.needs_closure == (other is lbfgs)
        for _ in range(2):
            assert torch.equal(step(ours, optimizer, rows), step(theirs, other, rows))
            assert same(ours, theirs)


def test_adam_without_a_closure(rows: Rows, make_net: Net) -> None:
    ours, theirs = make_net(), make_net()
    optimizer, other = make(ours), Adam(theirs.parameters(), **ADAM)
    for model, each in [(ours, optimizer), (theirs, other)]:
        F.mse_loss(model(rows[0]), rows[1]).backward()
        assert each.step() is None  # type: ignore[attr-defined]
    assert same(ours, theirs)


def test_lbfgs_without_a_closure_says_what_it_needs(make_net: Net) -> None:
    optimizer = make(make_net(), 0)
    with pytest.raises(TrainingError, match=r"call step\(closure\)"):
        optimizer.step()


def test_a_loop_that_never_begins_an_epoch_counts_steps(
    rows: Rows, make_net: Net, here: Path
) -> None:
    counted, named, resumed = make_net(), make_net(), make_net()
    optimizer, other, again = make(counted), make(named), make(resumed)
    losses = []
    for number in range(1, 7):
        other.begin_epoch(number)
        losses.append(step(named, other, rows))
    for number in range(1, 4):
        assert torch.equal(step(counted, optimizer, rows), losses[number - 1])
    load_checkpoint(write_checkpoint(here, counted, optimizer, 3), resumed, again)
    for model, each in [(counted, optimizer), (resumed, again)]:
        with pytest.warns(UserWarning, match="after 3 steps: begin_epoch was never called") as seen:
            found = [step(model, each, rows) for _ in range(3)]
        assert len(seen) == 1
        assert seen[0].filename == __file__
        assert torch.stack(found).equal(torch.stack(losses[3:]))
        assert same(list(model.parameters()), list(named.parameters()))


def test_the_default_switch(make_net: Net) -> None:
    optimizer = AdamLBFGS(make_net().parameters())
    for epoch, lbfgs in [(100, False), (101, True)]:
        optimizer.begin_epoch(epoch)
        assert optimizer.needs_closure == lbfgs


def test_a_trial_before_the_fit_stays_with_adam(
    make_trainer: Callable[..., Trainer], make_net: Net, here: Path
) -> None:
    model = make_net()
    trainer = make_trainer(model=model, optimizer=make(model, 2), options={"max_batches": 1})
    assert len(trainer.overfit_batch(steps=5).losses) == 5  # the switch would be a warning
    assert trainer.optimizer.state_dict()["sequence"]["counted_steps"] == 0


@pytest.mark.parametrize("taken", [0, 2, 3, 5])
def test_state_is_whole(rows: Rows, make_net: Net, here: Path, taken: int) -> None:
    whole = make_net()
    optimizer = make(whole)
    path = None
    for epoch in range(1, 9):
        if epoch == taken + 1:
            path = write_checkpoint(here, whole, optimizer, taken)
        optimizer.begin_epoch(epoch)
        step(whole, optimizer, rows)
    assert path is not None
    parts = make_net()
    again = make(parts)
    load_checkpoint(path, parts, again)
    assert again.needs_closure == (taken > 3)
    for epoch in range(taken + 1, 9):
        again.begin_epoch(epoch)
        step(parts, again, rows)
    assert same(whole, parts)


@pytest.mark.parametrize("taken", [2, 5])
def test_copy_goes_on_by_itself(rows: Rows, make_net: Net, taken: int) -> None:
    model = make_net()
    optimizer = make(model)
    for epoch in range(1, taken + 1):
        optimizer.begin_epoch(epoch)
        step(model, optimizer, rows)
    twin, other = copy.deepcopy((model, optimizer))
    for epoch in range(taken + 1, taken + 4):
        for network, each in [(model, optimizer), (twin, other)]:
            each.begin_epoch(epoch)
            step(network, each, rows)
    assert same(model, twin)


def test_learning_rate_of_the_group_is_that_of_the_active_one(rows: Rows, make_net: Net) -> None:
    ours, theirs = make_net(), make_net()
    optimizer = make(ours, 2)
    adam, lbfgs = Adam(theirs.parameters(), **ADAM), LBFGS(theirs.parameters(), **LBFGS_)
    for epoch in range(1, 5):
        optimizer.begin_epoch(epoch)
        group = optimizer.param_groups[0]
        other = adam if epoch <= 2 else lbfgs
        assert group["lr"] == other.param_groups[0]["lr"]
        group["lr"] *= 0.5
        other.param_groups[0]["lr"] *= 0.5
        step(ours, optimizer, rows)
        step(theirs, other, rows)
    assert same(ours, theirs)


def test_scheduler_of_torch(rows: Rows, make_net: Net) -> None:
    model = make_net()
    optimizer = make(model, 2)
    schedule = StepLR(optimizer, 1, gamma=0.5)
    rates = []
    for epoch in range(1, 5):
        optimizer.begin_epoch(epoch)
        rates.append(optimizer.param_groups[0]["lr"])
        step(model, optimizer, rows)
        schedule.step()
    assert rates == [0.02, 0.01, 0.7 / 4, 0.7 / 8]


def test_trainer_switches(make_trainer: Callable[..., Trainer], make_net: Net, here: Path) -> None:
    ours, theirs = make_net(), make_net()
    options = {"batch_size": 20, "max_iter": 5}
    seen = []

    def note(trainer: Any, config: Any, writer: Any) -> None:
        seen.append((trainer.current_epoch, trainer.optimizer.param_groups[0]["lr"]))

    callbacks = [Callback("train_epoch_start", callback=note)]
    trainer = make_trainer(model=ours, optimizer=make(ours), callbacks=callbacks, **options)
    trainer.fit()
    assert seen == [(1, 0.02), (2, 0.02), (3, 0.02), (4, 0.7), (5, 0.7)]
    first, second = Adam(theirs.parameters(), **ADAM), LBFGS(theirs.parameters(), **LBFGS_)
    make_trainer(model=theirs, optimizer=first, **(options | {"max_iter": 3})).fit()
    make_trainer(model=theirs, optimizer=second, **(options | {"max_iter": 2})).fit()
    assert same(ours, theirs)


def test_new_training_begins_with_adam_again(
    make_trainer: Callable[..., Trainer], make_net: Net, here: Path
) -> None:
    model = make_net()
    optimizer = make(model)
    trainer = make_trainer(model=model, optimizer=optimizer, max_iter=4)
    trainer.fit()
    assert optimizer.needs_closure
    trainer.config.max_iter = 1
    trainer.fit()
    assert not optimizer.needs_closure
    assert optimizer.param_groups[0]["lr"] == 0.02


def test_by_name(make_net: Net) -> None:
    optimizer = get_optimizer("adam_lbfgs", make_net().parameters(), switch_epoch=4)
    assert isinstance(optimizer, AdamLBFGS)
    assert optimizer.param_groups[0]["lr"] == 1e-3


def test_one_group_is_a_group_and_two_are_refused(make_net: Net) -> None:
    first, second = list(make_net().parameters()), list(make_net().parameters())
    one = AdamLBFGS([{"params": first, "lr": 0.5}], 1)
    assert one.param_groups[0]["lr"] == 0.5
    groups = [{"params": first}, {"params": second}]
    with pytest.raises(TrainingError, match="one group of parameters only"):
        AdamLBFGS(groups, 1)
    with pytest.raises(TrainingError, match="one group of parameters only"):
        one.add_param_group({"params": second})


def test_parameters_of_a_loss_have_to_be_given(make_trainer: Callable[..., Trainer]) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
            return F.mse_loss(model(batch[0]), batch[1]) * self.scale, {}

    with pytest.raises(TrainingError, match="one group of parameters only"):
        make_trainer(Scaled(), optimizer={"name": "adam_lbfgs", "switch_epoch": 1})


@pytest.mark.parametrize("switch_epoch", [-1, 1.5, True, "3", None])
def test_switch_that_cannot_be(make_net: Net, switch_epoch: Any) -> None:
    with pytest.raises(ConfigError, match=r"switch_epoch=.* number of epochs with Adam"):
        AdamLBFGS(make_net().parameters(), switch_epoch)
