"""Learning-rate schedules in a run: metrics, other optimizers, states that do not fit."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from perceptrain.errors import CheckpointError, ConfigError, OptionError
from perceptrain.optimizers import AdamLBFGS
from perceptrain_core.schedules.schedule import Schedule, make_schedule


def sgd(*rates: Any) -> Optimizer:
    groups = [
        {"params": [nn.Parameter(torch.ones(2))], "lr": rate} for rate in rates or (0.2, 0.05)
    ]
    return SGD(groups, momentum=0.9)


def plateau(**options: Any) -> tuple[Schedule, Optimizer]:
    optimizer = sgd()
    given = {"name": "reduce_on_plateau", "patience": 0, "factor": 0.5, **options}
    return make_schedule(given, optimizer, epochs=9, steps_per_epoch=4, validates=True), optimizer


def test_plateau_of_the_validation() -> None:
    """Epochs without a validation are passed over, whatever the training does."""
    schedule, optimizer = plateau()
    rates = []
    for row in (
        {"train_loss": 1.0},
        {"train_loss": 0.1, "val_loss": 2.0},
        {"train_loss": 9.0},
        {"train_loss": 9.0, "val_loss": 1.0},
        {"train_loss": 0.0, "val_loss": 1.5},
        {"train_loss": 0.0, "val_loss": float("nan")},
    ):
        schedule.step_epoch(row)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [0.2, 0.2, 0.2, 0.2, 0.1, 0.05]


def test_a_metric_of_another_name() -> None:
    schedule, optimizer = plateau(monitor="train_accuracy", mode="max")
    for value in (0.5, 0.6, 0.55):
        schedule.step_epoch({"train_loss": 1.0, "train_accuracy": value})
    assert optimizer.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("monitor", ["train_los", "val_los"])
def test_a_metric_that_never_comes(monitor: str) -> None:
    schedule, _ = plateau(monitor=monitor)
    with pytest.raises(ConfigError, match=f"'{monitor}'.*metrics are.* Did you mean '{monitor}s'"):
        schedule.step_epoch({"train_loss": 1.0, "val_loss": 1.0})


def test_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rates.py").write_text(
        "from torch.optim.lr_scheduler import LambdaLR\n"
        "def third(step):\n    return 3.0**-step\n"
        "def mine(optimizer, *, base=2.0):\n"
        "    return LambdaLR(optimizer, lambda step: base**-step)\n"
    )
    monkeypatch.chdir(tmp_path)
    for given, factor in [
        ({"name": "lambda", "lr_lambda": "./rates.py:third"}, 3),
        ({"name": "lambda", "lr_lambda": ["./rates.py:third", "./rates.py:third"]}, 3),
        ("./rates.py:mine", 2),
        ({"name": "./rates.py:mine", "base": 4.0, "interval": "epoch"}, 4),
    ]:
        optimizer = sgd()
        schedule = make_schedule(given, optimizer, epochs=3, steps_per_epoch=4)
        schedule.step_epoch({})
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.2 / factor)
    with pytest.raises(OptionError, match="It accepts: base, interval, monitor"):
        make_schedule({"name": "./rates.py:mine", "b": 1}, sgd(), epochs=3, steps_per_epoch=4)


def test_adam_then_lbfgs() -> None:
    """The rate of the one that is active falls, and a second fit begins with that of Adam."""
    parameter = nn.Parameter(torch.ones(2))
    optimizer = AdamLBFGS([parameter], 2, {"lr": 0.4}, {"lr": 1.0})

    def closure() -> Tensor:
        parameter.grad = parameter.detach().clone()
        return parameter.square().sum() / 2

    for _ in range(2):
        optimizer.begin_epoch(1)
        schedule = make_schedule(
            {"name": "exponential", "gamma": 0.5}, optimizer, epochs=4, steps_per_epoch=1
        )
        rates = []
        for epoch in range(1, 5):
            optimizer.begin_epoch(epoch)
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step(closure)
            schedule.step_epoch({})
        assert rates == [0.4, 0.2, 0.25, 0.125]


def test_a_warm_up_begins_low_in_every_fit_of_adam_then_lbfgs() -> None:
    optimizer = AdamLBFGS([nn.Parameter(torch.ones(2))], 1, {"lr": 0.3})
    for _ in range(2):
        optimizer.begin_epoch(1)
        make_schedule("linear", optimizer, epochs=4, steps_per_epoch=1)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)
        optimizer.begin_epoch(2)


def saved_state(given: Any, epochs: int = 10) -> dict[str, Any]:
    return make_schedule(given, sgd(), epochs=epochs, steps_per_epoch=4).state_dict()


@pytest.mark.parametrize(
    "given",
    [
        {"name": "one_cycle", "max_lr": 1.0},
        {"name": "chained", "schedulers": [{"name": "one_cycle", "max_lr": 1.0}]},
    ],
)
def test_a_run_that_is_to_be_longer(given: Any) -> None:
    schedule = make_schedule(given, sgd(), epochs=20, steps_per_epoch=4)
    with pytest.raises(CheckpointError, match="total_steps=40, but the run now has 80 steps"):
        schedule.load_state_dict(saved_state(given))
    make_schedule(given, sgd(), epochs=5, steps_per_epoch=4).load_state_dict(saved_state(given))


def test_lengths_are_those_that_the_run_began_with() -> None:
    schedule = make_schedule("cosine_annealing", sgd(), epochs=20, steps_per_epoch=4)
    schedule.load_state_dict(saved_state("cosine_annealing"))
    assert schedule.scheduler.T_max == 10
    milestones = {"name": "multi_step", "milestones": [5]}
    schedule = make_schedule(milestones, sgd(), epochs=20, steps_per_epoch=4)
    schedule.load_state_dict(saved_state(milestones | {"milestones": [3, 4]}))
    assert sorted(schedule.scheduler.milestones.elements()) == [3, 4]


@pytest.mark.parametrize(
    "other", [{"name": "exponential", "gamma": 0.5}, {"name": "linear", "interval": "batch"}]
)
def test_the_state_of_another_schedule(other: Any) -> None:
    schedule = make_schedule("linear", sgd(), epochs=10, steps_per_epoch=4)
    with pytest.raises(CheckpointError, match="cannot be resumed with LinearLR, stepped by epochs"):
        schedule.load_state_dict(saved_state(other))


def test_a_state_that_was_handed_out_stays() -> None:
    optimizer = sgd(torch.tensor(0.2))
    schedule = make_schedule("linear", optimizer, epochs=10, steps_per_epoch=4)
    state = schedule.state_dict()
    before = repr(state)
    schedule.step_epoch({})
    schedule.load_state_dict(state)
    schedule.step_epoch({})
    assert repr(state) == before


def test_partial_functions() -> None:
    given = {"name": "lambda", "lr_lambda": partial(pow, 0.5)}
    optimizer = sgd()
    schedule = make_schedule(given, optimizer, epochs=3, steps_per_epoch=4)
    schedule.load_state_dict(schedule.state_dict())
    schedule.step_epoch({})
    assert optimizer.param_groups[0]["lr"] == 0.1
