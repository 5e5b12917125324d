"""Learning rates at every step, against closed forms and the schedulers of torch."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from perceptrain import Callback, Trainer
from perceptrain.callbacks import (
    LRSchedulerCosineAnnealing,
    LRSchedulerCyclic,
    LRSchedulerReduceOnPlateau,
    LRSchedulerStepDecay,
)
from perceptrain.errors import CallbackError
from perceptrain_core.checkpoints.folder import checkpoint_path

from ..shared import same

MakeTrainer = Callable[..., Trainer]
Rates = list[list[float]]

BATCHES = 4  # in an epoch of the fixtures


def recorder(stage: str) -> tuple[Callback, Rates]:
    """Note the rates of all groups, after the callbacks before it."""
    rates: Rates = []

    def note(trainer: Any, config: Any, writer: Any) -> None:
        rates.append([float(group["lr"]) for group in trainer.optimizer.param_groups])

    return Callback(stage, callback=note), rates


def rates_of(make: MakeTrainer, schedule: Callback, epochs: int = 12, **settings: Any) -> Rates:
    note, rates = recorder(schedule.on)
    make(callbacks=[schedule, note], max_iter=epochs, **settings).fit()
    return rates


def truth(kind: Any, steps: int, **options: Any) -> Rates:
    """Give the rates that a scheduler of torch has after each step."""
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.2, 0.05)]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    scheduler = kind(optimizer, **options)
    rates: Rates = []
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        rates.append([group["lr"] for group in optimizer.param_groups])
    return rates


def close(found: Rates, expected: Rates) -> None:
    assert len(found) == len(expected)
    for left, right in zip(found, expected, strict=True):
        assert left == pytest.approx(right, rel=1e-12, abs=1e-15)


STAGES = [("train_epoch_end", 12), ("train_batch_end", 12 * BATCHES)]


@pytest.mark.parametrize(("stage", "steps"), STAGES)
@pytest.mark.parametrize("every", [1, 3])
def test_step_decay(make_two_groups: MakeTrainer, stage: str, steps: int, every: int) -> None:
    found = rates_of(make_two_groups, LRSchedulerStepDecay(stage, every, 0.7))
    close(found, truth(lr_scheduler.StepLR, steps, step_size=every, gamma=0.7))
    close(found, [[lr * 0.7 ** (n // every) for lr in (0.2, 0.05)] for n in range(1, steps + 1)])


@pytest.mark.parametrize(("stage", "steps"), STAGES)
def test_cosine_annealing(make_two_groups: MakeTrainer, stage: str, steps: int) -> None:
    """It does not compound on its own output, and rises again after t_max."""
    schedule = LRSchedulerCosineAnnealing(stage, 1, 8, 0.01)
    found = rates_of(make_two_groups, schedule)
    close(found, truth(lr_scheduler.CosineAnnealingLR, steps, T_max=8, eta_min=0.01))
    assert found[7] == pytest.approx([0.01, 0.01])
    assert schedule.initial_rates == [0.2, 0.05]


def test_cosine_annealing_does_not_start_from_0(make_trainer: MakeTrainer) -> None:
    """A second fit would learn nothing, where the first has ended at a rate of 0."""
    trainer = make_trainer(callbacks=[LRSchedulerCosineAnnealing("train_epoch_end", 1, 2)])
    trainer.fit()
    with pytest.raises(CallbackError, match="The learning rate is 0 when the run starts"):
        trainer.fit()
    trainer.optimizer.param_groups[0]["lr"] = 0.01
    trainer.fit()


@pytest.mark.parametrize(("stage", "steps"), STAGES)
def test_cyclic(make_two_groups: MakeTrainer, stage: str, steps: int) -> None:
    found = rates_of(make_two_groups, LRSchedulerCyclic(stage, 1, 0.01, 0.1, 5))
    options = {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 5, "cycle_momentum": False}
    close(found, truth(lr_scheduler.CyclicLR, steps, **options))


def test_cyclic_starts_at_the_base(make_two_groups: MakeTrainer) -> None:
    note, rates = recorder("train_batch_start")
    schedule = LRSchedulerCyclic("train_batch_end", 1, base_lr=0.01, max_lr=0.1, step_size=2)
    make_two_groups(callbacks=[note, schedule], max_iter=1).fit()
    close(rates, [[0.01] * 2, [0.055] * 2, [0.1] * 2, [0.055] * 2])


@pytest.mark.parametrize("stage", ["train_epoch_start", "train_batch_start"])
def test_the_first_call_counts(make_two_groups: MakeTrainer, stage: str) -> None:
    found = rates_of(make_two_groups, LRSchedulerStepDecay(stage, called_every=1, gamma=0.5))
    assert found[0] == [0.1, 0.025]
    assert found[1] == [0.05, 0.0125]


@pytest.mark.parametrize("every", [2, 3])
def test_lengths_are_epochs_however_often_the_rate_is_set(
    make_two_groups: MakeTrainer, every: int
) -> None:
    found = rates_of(make_two_groups, LRSchedulerCosineAnnealing("train_epoch_end", every, 12))
    held = [n // every * every for n in range(1, 13)]
    close(found, [[lr * (1 + cos(pi * n / 12)) / 2 for lr in (0.2, 0.05)] for n in held])
    found = rates_of(make_two_groups, LRSchedulerCyclic("train_epoch_end", every, 0.0, 1.0, 6))
    close(found, [[1 - abs(1 - n % 12 / 6)] * 2 for n in held])


@given(st.integers(1, 50), st.integers(0, 200), st.floats(0, 1), st.floats(1e-6, 1))
def test_curves_stay_between_their_ends(size: int, calls: int, low: float, span: float) -> None:
    cyclic = LRSchedulerCyclic("train_batch_end", 1, low, low + span, size)
    cosine = LRSchedulerCosineAnnealing("train_batch_end", 1, size, low)
    cyclic.calls = cosine.calls = calls
    for rate in (cyclic.rate(9.0, 9.0), cosine.rate(9.0, low + span)):
        assert low - 1e-12 <= rate <= low + span + 1e-12


def test_step_decay_and_plateau_work_together(make_two_groups: MakeTrainer) -> None:
    plateau = LRSchedulerReduceOnPlateau(monitor="train_flat", patience=0, gamma=0.1, verbose=False)
    step = LRSchedulerStepDecay("train_epoch_end", 1, 0.5)
    note, rates = recorder("train_epoch_end")
    make_two_groups(loss_fn=flat, callbacks=[plateau, step, note], max_iter=3).fit()
    close(rates, [[0.1, 0.025], [0.005, 0.00125], [0.00025, 0.0000625]])


def flat(batch: Any, model: nn.Module) -> Any:
    """A loss with a metric that never gets better."""
    return (model(batch[0]) - batch[1]).square().mean(), {"flat": torch.tensor(1.0)}


SERIES = [
    [5.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0],
    [1.0] * 12,
    [1.0, 0.99995, 0.9999, 0.99985, 0.9, 0.9, 2.0, 2.0, 0.8, 0.7, 0.6, 0.5],
]


@pytest.mark.parametrize("values", SERIES)
@pytest.mark.parametrize("patience", [0, 1, 3])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("stage", ["train_epoch_end", "val_epoch_end"])
def test_plateau(
    scripted: MakeTrainer, make_net: Any, values: list[float], patience: int, mode: str, stage: str
) -> None:
    schedule = LRSchedulerReduceOnPlateau(
        stage, 1, "val_loss", patience, mode, gamma=0.3, threshold=1e-4, min_lr=0.001
    )
    note, found = recorder("train_epoch_end")
    model = make_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = scripted(
        *values, model=model, optimizer=optimizer, callbacks=[schedule, note], max_iter=12
    )
    trainer.fit()

    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer, mode, factor=0.3, patience=patience, threshold=1e-4, min_lr=0.001
    )
    expected = []
    for row in trainer.history:
        scheduler.step(row["val_loss"])
        expected.append([optimizer.param_groups[0]["lr"]])
    assert found == expected
    assert schedule.best_value == pytest.approx(scheduler.best)


def test_plateau_counts_batches(make_two_groups: MakeTrainer) -> None:
    schedule = LRSchedulerReduceOnPlateau(
        "train_batch_end", 1, "train_flat", patience=2, verbose=False
    )
    found = rates_of(make_two_groups, schedule, epochs=2, loss_fn=flat)
    assert [row[0] for row in found] == [0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05]


def test_plateau_of_the_loss_on_batches(make_two_groups: MakeTrainer) -> None:
    schedule = LRSchedulerReduceOnPlateau("train_batch_end", patience=100)
    rates_of(make_two_groups, schedule, epochs=2)
    assert 0 < schedule.best_value < 10


@pytest.mark.parametrize("monitor", ["val_loss", "flat"])
def test_plateau_on_batches_has_training_metrics_only(
    make_two_groups: MakeTrainer, rows: Any, monitor: str
) -> None:
    schedule = LRSchedulerReduceOnPlateau("train_batch_end", monitor=monitor)
    with pytest.raises(CallbackError, match="Its metrics are: train_loss, train_flat"):
        rates_of(make_two_groups, schedule, loss_fn=flat, val=rows, val_every=1)


def test_plateau_never_raises_a_rate(make_two_groups: MakeTrainer) -> None:
    schedule = LRSchedulerReduceOnPlateau(
        monitor="train_flat", patience=0, min_lr=0.1, verbose=False
    )
    found = rates_of(make_two_groups, schedule, loss_fn=flat, epochs=4)
    assert found == [[0.2, 0.05], [0.1, 0.05], [0.1, 0.05], [0.1, 0.05]]
    assert schedule.counter == 0


@pytest.mark.parametrize(("told", "verbose"), [(True, True), (False, True), (True, False)])
def test_plateau_tells(
    make_two_groups: MakeTrainer, capsys: pytest.CaptureFixture[str], told: bool, verbose: bool
) -> None:
    schedule = LRSchedulerReduceOnPlateau(
        monitor="train_flat", patience=0, min_lr=0.05, verbose=told
    )
    settings = {"loss_fn": flat, "verbose": verbose, "progress": False}
    rates_of(make_two_groups, schedule, epochs=5, **settings)
    lines = capsys.readouterr().out.splitlines()
    wanted = [
        "Epoch 2: train_flat is no better than 1; learning rate 0.2 -> 0.1, 0.05 -> 0.05.",
        "Epoch 3: train_flat is no better than 1; learning rate 0.1 -> 0.05, 0.05 -> 0.05.",
    ]
    assert lines == (wanted if told and verbose else [])


def test_plateau_without_validations_says_so(make_two_groups: MakeTrainer, rows: Any) -> None:
    schedule = LRSchedulerReduceOnPlateau(monitor="val_loss")
    with pytest.warns(UserWarning, match="ReduceOnPlateau has done nothing: 'val_loss'"):
        rates_of(make_two_groups, schedule, epochs=2, val=rows, val_every=5)


SCHEDULES: dict[str, Callable[[str], Callback]] = {
    "step": lambda stage: LRSchedulerStepDecay(stage, 2, 0.7),
    "cyclic": lambda stage: LRSchedulerCyclic(stage, 1, 0.01, 0.1, 5),
    "cosine": lambda stage: LRSchedulerCosineAnnealing(stage, 2, 8, 0.01),
    "plateau": lambda stage: LRSchedulerReduceOnPlateau(
        stage.replace("start", "end"), 1, "train_flat", 1, verbose=False
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("stage", ["train_epoch_end", "train_batch_end", "train_epoch_start"])
@pytest.mark.parametrize("stop", [1, 4])
def test_resumed_run_has_the_same_rates_and_weights(
    make_two_groups: MakeTrainer, kind: str, stage: str, stop: int
) -> None:
    """No epoch has its turn twice, none is left out, and everything is the same bit for bit."""

    def run(epochs: int, folder: str, resume: bool = False) -> tuple[Trainer, Rates]:
        note, rates = recorder("train_batch_end")
        settings = {"max_iter": epochs, "log_folder": folder, "checkpoint_every": 1, "seed": 1}
        trainer = make_two_groups(
            loss_fn=flat, shuffle=True, callbacks=[SCHEDULES[kind](stage), note], **settings
        )
        trainer.fit(resume=resume)
        return trainer, rates

    whole, expected = run(7, "whole")
    _, before = run(stop, "parts")
    resumed, after = run(7, "parts", resume=True)
    assert before + after == expected
    assert same(whole.optimizer.state_dict(), resumed.optimizer.state_dict())
    assert same(whole.model.state_dict(), resumed.model.state_dict())
    assert whole.callbacks[0].state_dict() == resumed.callbacks[0].state_dict()


def test_checkpoint_of_the_users_own_that_comes_first(make_two_groups: MakeTrainer) -> None:
    """It holds what the schedule did at its epoch."""
    step = {"name": "lr_scheduler_step_decay", "on": "train_epoch_end", "gamma": 0.5}
    callbacks = ["save_checkpoint", step]
    make_two_groups(max_iter=2, callbacks=callbacks).fit()
    resumed = make_two_groups(max_iter=3, callbacks=callbacks)
    resumed.fit(resume=True)
    assert [group["lr"] for group in resumed.optimizer.param_groups] == [0.025, 0.00625]


def test_a_resumed_run_takes_the_schedule_from_its_checkpoint(make_two_groups: MakeTrainer) -> None:
    """Not from the object, which may have gone on meanwhile."""
    schedule = LRSchedulerCosineAnnealing("train_epoch_end", 1, t_max=8)
    settings = {"checkpoint_every": 1, "keep_checkpoints": 0, "callbacks": [schedule]}
    trainer = make_two_groups(max_iter=6, **settings)
    trainer.fit()
    expected = trainer.optimizer.param_groups[0]["lr"]
    trainer.fit(resume=checkpoint_path(trainer.log_folder, 3))
    assert trainer.optimizer.param_groups[0]["lr"] == expected
    assert schedule.calls == 6


def test_another_run_starts_from_the_rates_of_its_optimizer(make_two_groups: MakeTrainer) -> None:
    schedule = LRSchedulerCosineAnnealing("train_epoch_end", 1, t_max=4)
    first = rates_of(make_two_groups, schedule, epochs=4)
    assert rates_of(make_two_groups, schedule, epochs=4) == first


def test_a_group_that_comes_later_starts_with_its_own_rate(make_two_groups: MakeTrainer) -> None:
    extra = nn.Parameter(torch.zeros(1))

    def add(trainer: Any, config: Any, writer: Any) -> None:
        if trainer.current_epoch == 2:
            trainer.optimizer.add_param_group({"params": [extra], "lr": 1.0})

    schedule = LRSchedulerCosineAnnealing("train_epoch_end", 1, t_max=4)
    make_two_groups(max_iter=2, callbacks=[Callback(callback=add), schedule]).fit()
    assert schedule.initial_rates == [0.2, 0.05, 1.0]


def test_rate_in_a_tensor_is_changed_in_place(make_trainer: MakeTrainer, make_net: Any) -> None:
    model = make_net()
    rate = torch.tensor(0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = LRSchedulerStepDecay("train_epoch_end", 1, 0.5)
    make_trainer(model=model, optimizer=optimizer, callbacks=[schedule], max_iter=2).fit()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(0.025)


def test_an_optimizer_without_rates(make_trainer: MakeTrainer) -> None:
    class Blind:
        pass

    trainer = make_trainer()
    vars(trainer)["optimizer"] = Blind()
    with pytest.raises(CallbackError, match="sets learning rates, and Blind has none"):
        LRSchedulerStepDecay().set_rates(trainer)


@pytest.mark.parametrize(
    "named",
    [
        {"name": "lr_scheduler_step_decay"},
        {"name": "lr_scheduler_cyclic", "base_lr": 0.1, "max_lr": 0.2, "step_size": 3},
        {"name": "lr_scheduler_cosine_annealing", "t_max": 3},
        {"name": "lr_scheduler_reduce_on_plateau", "patience": 3},
    ],
)
def test_by_name(make_trainer: MakeTrainer, named: dict[str, Any]) -> None:
    make_trainer(callbacks=[{"on": "train_epoch_end", "called_every": 1, **named}]).fit()
