"""Validations every so many steps: where they happen, who sees them, and that a run resumes."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from perceptrain import Callback, Trainer, ValidationSets, load_model
from perceptrain.callbacks import (
    EarlyStopping,
    LRSchedulerReduceOnPlateau,
    SaveBestCheckpoint,
    SaveCheckpoint,
)
from perceptrain.errors import DataError

from ..shared import noisy_net, same

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]


def some_rows() -> Rows:
    x = torch.randn(7, 2, generator=torch.Generator().manual_seed(5))
    return x, x[:, :1]


VAL = some_rows()


def by_hand(model: nn.Module, rows: Rows, every: int, steps: int) -> dict[int, float]:
    """Train in a plain loop, and return the loss on the validation data after some steps."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    batches = list(zip(*(t.split(5) for t in rows), strict=True))
    found = {}
    for step in range(1, steps + 1):
        inputs, labels = batches[(step - 1) % 4]
        optimizer.zero_grad()
        (model(inputs) - labels).square().mean().backward()
        optimizer.step()
        if step % every == 0:
            with torch.no_grad():
                found[step] = (model(VAL[0]) - VAL[1]).square().mean().item()
    return found


def test_are_those_of_a_plain_loop(make_trainer: MakeTrainer, rows: Rows) -> None:
    trainer = make_trainer(val=VAL, val_every_steps=3, max_iter=4)
    trainer.fit()
    expected = by_hand(make_trainer().model, rows, every=3, steps=16)
    assert [(row["step"], row["epoch"]) for row in trainer.validations] == [
        (3, 1),
        (6, 2),
        (9, 3),
        (12, 3),
        (15, 4),
    ]
    found = {row["step"]: row["val_loss"] for row in trainer.validations}
    assert found == pytest.approx(expected, rel=1e-5)
    # The row of an epoch has the metrics of its last validation.
    last = [found[3], found[6], found[12], found[15]]
    assert [row["val_loss"] for row in trainer.history] == last
    plain = make_trainer(max_iter=4)
    plain.fit()
    assert same(trainer.model, plain.model)
    assert plain.validations == []


def test_an_epoch_without_one_has_none(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(val=VAL, val_every_steps=6, max_iter=3, accumulate=1)
    trainer.fit()
    assert ["val_loss" in row for row in trainer.history] == [False, True, True]
    with_sets = make_trainer(val=ValidationSets(a=VAL), val_every_steps=6, max_iter=3)
    with_sets.fit()
    assert {"val_a_loss", "val_loss"} < with_sets.history[1].keys()


def test_counts_steps_and_not_batches(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(val=VAL, val_every_steps=3, max_iter=4, accumulate=2)
    trainer.fit()
    assert [row["step"] for row in trainer.validations] == [3, 6]


def test_callbacks_see_each_and_batches_as_they_were(make_trainer: MakeTrainer) -> None:
    seen: list[Any] = []

    def look(trainer: Any, config: Any, writer: Any) -> None:
        result = trainer.opt_result
        seen.append((trainer.global_step, sorted(result.metrics), isinstance(result.loss, Tensor)))

    class Saver(Callback):
        saves_run = True

        def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
            seen.append((trainer.global_step, "saver", isinstance(trainer.opt_result.loss, Tensor)))

    callbacks = [Callback("val_epoch_end", callback=look), Saver("train_batch_end")]
    make_trainer(val=VAL, val_every_steps=2, max_iter=1, callbacks=callbacks).fit()
    steps = [(step, "saver", True) for step in (1, 2, 3, 4)]
    steps.insert(1, (2, ["val_loss"], False))
    steps.insert(4, (4, ["val_loss"], False))
    assert seen == steps


def test_called_every_counts_validations(make_trainer: MakeTrainer) -> None:
    seen: list[int] = []
    note = Callback("val_epoch_end", 2, callback=lambda t, c, w: seen.append(t.global_step))
    make_trainer(val=VAL, val_every_steps=2, max_iter=3, callbacks=[note]).fit()
    assert seen == [4, 8, 12]


def test_early_stopping_stops_at_the_step(make_trainer: MakeTrainer) -> None:
    stopping = EarlyStopping("val_epoch_end", monitor="val_loss", patience=2, delta=1e9)
    trainer = make_trainer(val=VAL, val_every_steps=2, max_iter=9, callbacks=[stopping])
    trainer.fit()
    # The first value is the best, and the next two are no better.
    assert (trainer.global_step, len(trainer.history)) == (6, 1)
    assert stopping.best_value == trainer.validations[0]["val_loss"]
    trainer.validate()
    assert stopping.counter == 2


def test_rates_fall_by_validations(make_trainer: MakeTrainer) -> None:
    plateau = LRSchedulerReduceOnPlateau(
        "val_epoch_end", monitor="val_loss", patience=0, threshold=0.99, gamma=0.5
    )
    trainer = make_trainer(val=VAL, val_every_steps=1, max_iter=1, callbacks=[plateau])
    trainer.fit()
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.01 / 8)


@pytest.mark.parametrize("named", [True, False])
def test_the_best_checkpoint_is_that_of_the_best_step(
    make_trainer: MakeTrainer, named: bool
) -> None:
    weights: dict[int, Any] = {}

    def rise(trainer: Any, config: Any, writer: Any) -> None:
        weights[trainer.global_step] = [p.detach().clone() for p in trainer.model.parameters()]
        if trainer.global_step == 6:
            trainer.optimizer.param_groups[0]["lr"] = 3.0

    saving = {} if named else {"checkpoint_best_only": True}
    callbacks: list[Any] = [Callback("train_batch_end", callback=rise)]
    callbacks += [SaveBestCheckpoint()] if named else []
    trainer = make_trainer(val=VAL, val_every_steps=2, max_iter=3, callbacks=callbacks, **saving)
    trainer.fit()
    best = min(trainer.validations, key=lambda row: row["val_loss"])
    assert best["step"] == 6
    path = trainer.log_folder / "checkpoint_best.pt"
    model = load_model(path, make_trainer().model)
    assert same(list(model.parameters()), weights[6])
    # A run can be resumed from it.
    again = make_trainer(val=VAL, val_every_steps=2, max_iter=3, callbacks=callbacks, **saving)
    again.fit(resume=path)
    assert again.history == trainer.history


@pytest.mark.slow
@pytest.mark.parametrize(("saved", "write"), [(3, 0), (4, 1), (5, 1), (6, 0)])
def test_a_resumed_run_ends_like_one_run(
    make_trainer: MakeTrainer, rows: Rows, saved: int, write: int
) -> None:
    # A loader of torch draws from the global random generator at each pass, in validation too.
    val = DataLoader(TensorDataset(*VAL), batch_size=3)
    data = DataLoader(TensorDataset(*rows), batch_size=5, shuffle=True)

    def make(folder: str, **settings: Any) -> Trainer:
        callbacks = [EarlyStopping("val_epoch_end", monitor="val_loss", patience=50)]
        return make_trainer(
            data=data,
            val=val,
            model=noisy_net(),
            val_every_steps=2,
            max_iter=3,
            seed=1,
            log_folder=folder,
            write_every=write,
            **settings,
            callbacks=[*callbacks, SaveCheckpoint("train_batch_end")],
        )

    whole = make("whole")
    whole.fit()
    make("killed", max_steps=saved).fit()
    again = make("killed")
    again.fit(resume=True)
    assert again.validations == whole.validations
    assert again.history == whole.history
    assert same(again.model, whole.model)
    if write:
        tables = [(t.log_folder / "validations.csv").read_text() for t in (whole, again)]
        assert tables[0] == tables[1]


def test_are_written_with_their_step(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(val=VAL, val_every_steps=3, write_every=1, max_iter=2)
    trainer.fit()
    with (trainer.log_folder / "validations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [list(row) for row in rows] == [["step", "epoch", "val_loss"]] * 2
    assert [{n: float(v) for n, v in row.items()} for row in rows] == trainer.validations
    with (trainer.log_folder / "metrics.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]


def test_nothing_is_written_unless_metrics_are(make_trainer: MakeTrainer, here: Path) -> None:
    make_trainer(val=VAL, val_every_steps=3).fit()
    assert not any(here.iterdir())


def test_needs_data(make_trainer: MakeTrainer) -> None:
    with pytest.raises(DataError, match="val_every_steps=3, but there are no validation data"):
        make_trainer(val_every_steps=3).fit()


def test_a_search_is_validated_at_its_best(make_trainer: MakeTrainer) -> None:
    pytest.importorskip("nevergrad")
    from perceptrain.optimizers import NevergradOptimizer

    trainer = make_trainer()
    model = trainer.model
    search = NevergradOptimizer(model.parameters(), "RandomSearch", budget=99)
    trainer = make_trainer(
        model=model,
        optimizer=search,
        data=VAL,
        val=VAL,
        batch_size=7,
        val_every_steps=1,
        max_iter=9,
    )
    trainer.fit()
    losses = [row["val_loss"] for row in trainer.validations]
    assert losses == sorted(losses, reverse=True)
    assert trainer.validate()["val_loss"] == losses[-1]


def test_averaged_weights_are_validated(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(val=VAL, val_every_steps=4, max_iter=1, ema=0.9)
    trainer.fit()
    # At the end of the fit the model has the averaged weights.
    assert trainer.validations[-1]["val_loss"] == trainer.validate()["val_loss"]


@pytest.mark.usefixtures("forked_workers")
def test_several_processes(make_trainer: MakeTrainer) -> None:
    settings = {"val": VAL, "val_every_steps": 3, "max_iter": 2, "tracking_tool": "none"}
    stopping = EarlyStopping("val_epoch_end", monitor="val_loss", patience=1, delta=1e9)
    alone = make_trainer(batch_size=4, max_steps=6, **settings)
    two = make_trainer(batch_size=2, nprocs=2, callbacks=[stopping], **settings)
    for trainer in (alone, two):
        trainer.fit()
    assert two.global_step == 6
    for one, other in zip(two.validations, alone.validations, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
