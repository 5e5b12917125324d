"""Learning-rate schedules by name, step for step against torch's own schedulers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from perceptrain_core.checkpoints.file import read_file, write_file
from perceptrain_core.schedules.names import scheduler_names
from perceptrain_core.schedules.schedule import Schedule, make_schedule

STEPS = 10
VALUES = [3.0, 2.0, 2.5, 2.5, 2.6, 1.0, 1.1, 1.2, 1.3, 1.4]

Make = Callable[[Optimizer], Any]


def half(step: int) -> float:
    return 0.5**step


class Slower:
    """A function with a state of its own, and something in it that is none."""

    def __init__(self) -> None:
        self.calls, self.function = 0, half

    def __call__(self, step: int) -> float:
        self.calls += 1
        return 1 / self.calls


def two_parts(kind: Any) -> Make:
    def make(optimizer: Optimizer) -> Any:
        parts = [
            lr_scheduler.LinearLR(optimizer, total_iters=4),
            lr_scheduler.CosineAnnealingLR(optimizer, T_max=6 if kind.__name__[0] == "S" else 10),
        ]
        if kind is lr_scheduler.SequentialLR:
            return kind(optimizer, parts, milestones=[4])
        return kind(parts, optimizer)

    return make


def of(kind: Any, **options: Any) -> Make:
    return lambda optimizer: kind(optimizer, **options)


PARTS = [{"name": "linear", "total_iters": 4}, "cosine_annealing"]
TIMES = {"epochs": 5, "steps_per_epoch": 2}

# What is given, and what torch is given for it.
CASES: dict[str, tuple[dict[str, Any], Make]] = {
    "step": ({"step_size": 3}, of(lr_scheduler.StepLR, step_size=3)),
    "multi_step": (
        {"milestones": [2, 2, 7], "gamma": 0.5},
        of(lr_scheduler.MultiStepLR, milestones=[2, 2, 7], gamma=0.5),
    ),
    "constant": ({"total_iters": 4}, of(lr_scheduler.ConstantLR, total_iters=4)),
    "linear": ({}, of(lr_scheduler.LinearLR)),
    "exponential": ({"gamma": 0.8}, of(lr_scheduler.ExponentialLR, gamma=0.8)),
    "polynomial": ({"power": 2}, of(lr_scheduler.PolynomialLR, total_iters=10, power=2)),
    "cosine_annealing": (
        {"eta_min": 0.01},
        of(lr_scheduler.CosineAnnealingLR, T_max=10, eta_min=0.01),
    ),
    "cosine_annealing_warm_restarts": (
        {"T_0": 2, "T_mult": 2},
        of(lr_scheduler.CosineAnnealingWarmRestarts, T_0=2, T_mult=2),
    ),
    "one_cycle": ({"max_lr": [0.3, 0.1]}, of(lr_scheduler.OneCycleLR, max_lr=[0.3, 0.1], **TIMES)),
    "cyclic": (
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3, "mode": "exp_range", "gamma": 0.9},
        of(
            lr_scheduler.CyclicLR,
            base_lr=0.01,
            max_lr=0.1,
            step_size_up=3,
            mode="exp_range",
            gamma=0.9,
        ),
    ),
    "reduce_on_plateau": (
        {"patience": 1, "factor": 0.5, "cooldown": 1},
        of(lr_scheduler.ReduceLROnPlateau, patience=1, factor=0.5, cooldown=1),
    ),
    "lambda": ({"lr_lambda": half}, of(lr_scheduler.LambdaLR, lr_lambda=half)),
    "multiplicative": (
        {"lr_lambda": [half, lambda step: 0.9]},
        of(lr_scheduler.MultiplicativeLR, lr_lambda=[half, lambda step: 0.9]),
    ),
    "sequential": ({"schedulers": PARTS, "milestones": [4]}, two_parts(lr_scheduler.SequentialLR)),
    "chained": ({"schedulers": PARTS}, two_parts(lr_scheduler.ChainedScheduler)),
}
GIVEN = {name: ({"name": name, **options}, make) for name, (options, make) in CASES.items()}
GIVEN["an object with a state"] = (
    {"name": "lambda", "lr_lambda": Slower},
    lambda optimizer: lr_scheduler.LambdaLR(optimizer, lr_lambda=Slower()),
)
GIVEN["a function"] = (of(lr_scheduler.StepLR, step_size=2), of(lr_scheduler.StepLR, step_size=2))
GIVEN["a class"] = (
    {"name": lr_scheduler.StepLR, "step_size": 2},
    of(lr_scheduler.StepLR, step_size=2),
)
GIVEN["the name of a class"] = (
    {"name": "StepLR", "step_size": 2},
    of(lr_scheduler.StepLR, step_size=2),
)
GIVEN["epochs and steps_per_epoch"] = (
    {"name": "one_cycle", "max_lr": 0.3, **TIMES},
    of(lr_scheduler.OneCycleLR, max_lr=0.3, **TIMES),
)
GIVEN["every batch"] = (
    {"name": "cosine_annealing", "interval": "batch"},
    of(lr_scheduler.CosineAnnealingLR, T_max=10),
)


def fresh(case: str) -> tuple[Any, Make]:
    given, scheduler = GIVEN[case]
    if case == "an object with a state":
        given = given | {"lr_lambda": Slower()}
    return given, scheduler


def groups(rates: tuple[Any, Any] = (0.2, 0.05)) -> list[dict[str, Any]]:
    return [{"params": [nn.Parameter(torch.ones(2))], "lr": rate} for rate in rates]


def sgd() -> Optimizer:
    return SGD(groups(), momentum=0.9)


def adam() -> Optimizer:
    return Adam(groups())


def tensor_rates() -> Optimizer:
    rates = (torch.tensor(0.2), torch.tensor(0.05))
    return Adam(groups(rates), lr=torch.tensor(1.0), foreach=False)


def seen(optimizer: Optimizer) -> list[Any]:
    """Give what schedules change."""
    return [
        (float(g["lr"]), g.get("momentum"), *map(float, g.get("betas", ())))
        for g in optimizer.param_groups
    ]


def make(given: Any, optimizer: Optimizer, **options: Any) -> Schedule:
    """Make a schedule for ten steps of each kind."""
    per_batch = given.get("interval") == "batch" if isinstance(given, dict) else False
    name = given["name"] if isinstance(given, dict) else ""
    batches = per_batch or name in ("one_cycle", "cyclic")
    lengths = {"epochs": 5, "steps_per_epoch": 2} if batches else {"epochs": 10}
    return make_schedule(given, optimizer, **({"steps_per_epoch": 4} | lengths | options))


def step(schedule: Schedule, number: int) -> None:
    schedule.step_batch() if schedule.per_batch else schedule.step_epoch(
        {"train_loss": VALUES[number]}
    )


def truth(optimizer: Optimizer, make: Make) -> list[Any]:
    """Give what torch's scheduler does, before the first step and after each."""
    scheduler = make(optimizer)
    found = [seen(optimizer)]
    for value in VALUES:
        optimizer.step()
        plateau = isinstance(scheduler, lr_scheduler.ReduceLROnPlateau)
        scheduler.step(value) if plateau else scheduler.step()
        found.append(seen(optimizer))
    return found


def test_every_scheduler_of_torch_is_here() -> None:
    kinds = {
        item
        for item in vars(lr_scheduler).values()
        if inspect.isclass(item) and issubclass(item, LRScheduler)
    }
    assert set(scheduler_names().values()) == {k for k in kinds if k.__name__[0] != "_"} - {
        LRScheduler
    }
    assert set(CASES) == set(scheduler_names())


@pytest.mark.parametrize("kind", [sgd, adam, tensor_rates])
@pytest.mark.parametrize("case", GIVEN)
def test_a_run_that_is_resumed_at_every_step(
    case: str, kind: Callable[[], Optimizer], tmp_path: Path
) -> None:
    """Into new objects each time, and the first thing that they do is a step of the schedule."""
    given, scheduler = fresh(case)
    optimizer = kind()
    schedule = make(given, optimizer)
    found = [seen(optimizer)]
    for number in range(STEPS):
        state = {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
        saved = read_file(write_file(tmp_path / "run.pt", state))
        optimizer = kind()
        schedule = make(fresh(case)[0], optimizer)
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        assert seen(optimizer) == found[-1]
        step(schedule, number)
        found.append(seen(optimizer))
    assert found == truth(kind(), scheduler)


@pytest.mark.parametrize("kind", [sgd, adam, tensor_rates])
@pytest.mark.parametrize("case", GIVEN)
def test_each_of_two_fits_equals_torch(case: str, kind: Callable[[], Optimizer]) -> None:
    scheduler = GIVEN[case][1]
    optimizer = kind()
    for _ in range(2):
        schedule = make(fresh(case)[0], optimizer)
        wrapped = optimizer.__dict__.get("step")
        found = [seen(optimizer)]
        for number in range(STEPS):
            optimizer.step()
            step(schedule, number)
            found.append(seen(optimizer))
        assert found == truth(kind(), scheduler)
    make(fresh(case)[0], optimizer)
    assert optimizer.__dict__.get("step") is wrapped  # no wrapper around the wrapper


def test_a_cyclic_schedule_begins_at_its_base_after_another() -> None:
    optimizer = sgd()
    make_schedule("linear", optimizer, epochs=3, steps_per_epoch=4)
    given, scheduler = fresh("cyclic")
    make(given, optimizer)
    assert seen(optimizer) == truth(sgd(), scheduler)[0]
