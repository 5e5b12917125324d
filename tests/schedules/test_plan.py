"""What is asked for of a learning-rate schedule, and what is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import LBFGS, SGD, Adagrad, Optimizer, lr_scheduler

from perceptrain.errors import (
    ConfigError,
    OptionError,
    TargetError,
    TrainingError,
    UnknownNameError,
)
from perceptrain_core.schedules.schedule import make_schedule


def sgd(*rates: Any) -> Optimizer:
    groups = [
        {"params": [nn.Parameter(torch.ones(2))], "lr": rate} for rate in rates or (0.2, 0.05)
    ]
    return SGD(groups, momentum=0.9)


def rates(optimizer: Optimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


@pytest.mark.parametrize(
    ("given", "per_batch"),
    [
        ("cosine_annealing", False),
        ({"name": "cosine_annealing", "interval": "batch"}, True),
        ({"name": "one_cycle", "max_lr": 1.0}, True),
        ({"name": "one_cycle", "max_lr": 1.0, "interval": "epoch"}, False),
        ({"name": "cyclic", "base_lr": 0.1, "max_lr": 1.0}, True),
        ({"name": "chained", "schedulers": [{"name": "one_cycle", "max_lr": 1.0}]}, True),
        (partial(lr_scheduler.OneCycleLR, max_lr=1.0, total_steps=40), True),
        (partial(lr_scheduler.ExponentialLR, gamma=0.5), False),
    ],
)
def test_interval(given: Any, per_batch: bool) -> None:
    optimizer = sgd()
    schedule = make_schedule(given, optimizer, epochs=10, steps_per_epoch=4)
    assert schedule.per_batch == per_batch
    before = rates(optimizer)
    schedule.step_epoch({}) if per_batch else schedule.step_batch()
    assert rates(optimizer) == before
    schedule.step_batch() if per_batch else schedule.step_epoch({})
    assert rates(optimizer) != before


def test_lengths_count_batches_where_it_steps_by_batches() -> None:
    optimizer = sgd()
    given = {"name": "polynomial", "interval": "batch"}
    schedule = make_schedule(given, optimizer, epochs=3, steps_per_epoch=5)
    for taken in range(1, 16):
        schedule.step_batch()
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.2 * (1 - taken / 15))


def test_parts_last_from_one_milestone_to_the_next() -> None:
    optimizer = sgd()
    parts = [{"name": "linear", "total_iters": 2}, "polynomial", "cosine_annealing"]
    given = {"name": "sequential", "schedulers": parts, "milestones": [2, 5]}
    schedule = make_schedule(given, optimizer, epochs=9, steps_per_epoch=None)
    lengths = [getattr(p, "total_iters", None) or p.T_max for p in schedule.scheduler._schedulers]
    assert lengths == [2, 3, 4]


def test_a_length_that_is_not_known() -> None:
    given = {"name": "one_cycle", "max_lr": 1.0}
    with pytest.raises(
        ConfigError, match=r"'one_cycle' needs total_steps.*pass total_steps=\.\.\."
    ):
        make_schedule(given, sgd(), epochs=3, steps_per_epoch=None)
    make_schedule(given | {"total_steps": 9}, sgd(), epochs=3, steps_per_epoch=None)
    make_schedule("cosine_annealing", sgd(), epochs=3, steps_per_epoch=None)


def test_nothing_to_train() -> None:
    for name in ("one_cycle", "cosine_annealing", "polynomial"):
        given = {"name": name, "max_lr": 1.0} if name == "one_cycle" else name
        make_schedule(given, sgd(), epochs=0, steps_per_epoch=4)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("cosin", UnknownNameError, "'cosin'.*torch are: chained, .*, step;"),
        ("OneCycle", UnknownNameError, "Did you mean 'one_cycle'"),
        ({"name": "step", "step_sise": 2}, OptionError, "'step_size'.*accepts: step_size, gamma"),
        ({"name": "step", "step_size": 2, "last_epoch": 3}, OptionError, "'last_epoch'"),
        ({"name": "step", "step_size": 2, "monitor": "val_loss"}, OptionError, "'monitor'"),
        ("step", OptionError, "requires the option 'step_size'"),
        ({"name": "linear", "interval": "step"}, OptionError, "expected 'epoch' or 'batch'"),
        ({"name": "linear", "start_factor": 3}, OptionError, "be created: ValueError: Start"),
        ({"name": "one_cycle", "max_lr": [1.0] * 3}, OptionError, "cannot be created.*same length"),
        ({"name": "chained", "schedulers": 3}, OptionError, "must be a list"),
        ({"name": "chained", "schedulers": []}, OptionError, "at least one scheduler"),
        ({"name": "chained", "schedulers": ["linera"]}, UnknownNameError, "'linear'"),
        ({"name": "chained", "schedulers": [{"name": "linear", "interval": "batch"}]}, OptionError,
         "does not accept the option 'interval'"),
        ({"name": "sequential", "schedulers": ["linear"] * 2, "milestones": []}, OptionError,
         "2 schedulers and 0 milestones"),
        ({"name": "reduce_on_plateau", "interval": "batch"}, OptionError, "interval='epoch'"),
        ({"name": "reduce_on_plateau", "monitor": 3}, OptionError, "name of a metric, not 3"),
        ({"name": "reduce_on_plateau", "monitor": "val_loss"}, OptionError, "set val_every"),
        ({"name": partial(lr_scheduler.LinearLR), "monitor": "x"}, OptionError, "not use a metric"),
        ({"options": 3}, OptionError, "is not a learning-rate scheduler"),
        (3, OptionError, "3 is not a learning-rate scheduler"),
        ("torch.optim.lr_scheduler:Nothing", TargetError, "no attribute 'Nothing'"),
        ("torch.optim.lr_scheduler:__name__", TargetError, "expected a class or a function"),
        (lambda optimizer: None, TargetError, "returned None; expected a torch.optim.lr_scheduler"),
        (lambda: None, TargetError, "cannot be called"),
        (lambda optimizer: 1 / 0, OptionError, "ZeroDivisionError"),
        ({"name": "one_cycle", "max_lr": 1.0, "total_steps": 39}, ConfigError,
         "total_steps=39, but the run has 40 steps"),
        ({"name": "lambda", "lr_lambda": [[1.0] * 99][0].__getitem__}, OptionError, "saved"),
    ],
)  # fmt: skip
def test_fault(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make_schedule(given, sgd(), epochs=10, steps_per_epoch=4)


@pytest.mark.parametrize("name", ["one_cycle", "cyclic"])
@pytest.mark.parametrize("kind", [Adagrad, LBFGS])
def test_no_momentum_to_cycle(name: str, kind: type[Optimizer]) -> None:
    given = {"name": name, "max_lr": 1.0} | ({"base_lr": 0.1} if name == "cyclic" else {})
    optimizer = kind([nn.Parameter(torch.ones(2))])
    with pytest.raises(OptionError, match=f"{kind.__name__} has none: pass cycle_momentum=False"):
        make_schedule(given, optimizer, epochs=3, steps_per_epoch=4)
    make_schedule(given | {"cycle_momentum": False}, optimizer, epochs=3, steps_per_epoch=4)


def test_an_optimizer_without_rates() -> None:
    optimizer = sgd()
    del optimizer.param_groups[1]["lr"]
    with pytest.raises(TrainingError, match="SGD has none"):
        make_schedule("linear", optimizer, epochs=3, steps_per_epoch=4)


def test_a_scheduler_of_another_optimizer() -> None:
    other = sgd()
    with pytest.raises(TargetError, match="of the optimizer that it was called with"):
        make_schedule(
            lambda optimizer: lr_scheduler.LinearLR(other), sgd(), epochs=3, steps_per_epoch=4
        )
