"""A run ends after so many steps or so much time, and goes on from there as if it had not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from perceptrain import Callback, Trainer
from perceptrain_core.training import limits
from perceptrain_core.training.limits import planned_epochs

from ..shared import noisy_net, same

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]
KEPT = {"checkpoint_every": 50, "seed": 3, "shuffle": True}


@pytest.mark.parametrize("steps", [1, 3, 4, 6, 8])
def test_takes_as_many_steps_as_by_hand(make_trainer: MakeTrainer, rows: Rows, steps: int) -> None:
    trainer = make_trainer(max_iter=9, max_steps=steps)
    trainer.fit()
    model = make_trainer().model
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    batches = list(zip(*(t.split(5) for t in rows), strict=True)) * 3
    for inputs, labels in batches[:steps]:
        optimizer.zero_grad()
        (model(inputs) - labels).square().mean().backward()
        optimizer.step()
    assert trainer.global_step == trainer.batches_seen == steps
    assert same(trainer.model, model)
    # Only a complete epoch has a row.
    assert len(trainer.history) == trainer.current_epoch == steps // 4
    assert not trainer.interrupted


def test_counts_steps_and_not_batches(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_iter=9, max_steps=3, accumulate=2)
    trainer.fit()
    assert (trainer.global_step, trainer.batches_seen, len(trainer.history)) == (3, 6, 1)


def test_the_epochs_may_end_first(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_iter=2, max_steps=9)
    trainer.fit()
    assert (trainer.global_step, len(trainer.history)) == (8, 2)


@pytest.mark.parametrize("options", [{}, {"ema": 0.9, "accumulate": 2}])
@pytest.mark.parametrize("steps", [3, 5, 8])
def test_resumed_with_more_steps_it_ends_like_one_run(
    make_trainer: MakeTrainer, rows: Rows, steps: int, options: dict[str, Any]
) -> None:
    settings = {**KEPT, **options, "max_iter": 9, "val": rows, "val_every": 2}
    whole = make_trainer(model=noisy_net(), max_steps=9, log_folder="whole", **settings)
    whole.fit()
    first = make_trainer(model=noisy_net(), max_steps=steps, **settings)
    first.fit()
    assert first.global_step == steps
    again = make_trainer(model=noisy_net(), max_steps=9, **settings)
    again.fit(resume=True)
    assert again.global_step == 9
    assert again.history == whole.history
    assert same(again.model, whole.model)
    assert same(again.optimizer.state_dict(), whole.optimizer.state_dict())


def test_says_how_it_ended_and_how_to_go_on(
    make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"max_iter": 9, "checkpoint_every": 50, "verbose": True}
    trainer = make_trainer(max_steps=6, **settings)
    trainer.fit()
    saved = "checkpoint_epoch_000001_batch_000000002.pt"
    assert [path.name for path in trainer.log_folder.iterdir()] == [saved]
    assert capsys.readouterr().out == (
        f"Stopped by max_steps=6 in epoch 2; 1 epoch is complete. Saved as {saved}: resume from it "
        "with resume=True and a larger max_steps.\n"
    )
    again = make_trainer(max_steps=6, **settings)
    again.fit(resume=True)
    told = f"Nothing left to train: {saved} has 6 steps, and max_steps is 6.\n"
    assert capsys.readouterr().out == told
    assert again.global_step == 6


def test_a_run_that_keeps_no_checkpoints_writes_none(
    make_trainer: MakeTrainer, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_trainer(max_steps=6, max_iter=9, verbose=True).fit()
    told = "Stopped by max_steps=6 in epoch 2; 1 epoch is complete.\n"
    assert capsys.readouterr().out == told
    assert not any(here.iterdir())


def test_data_without_a_length(make_trainer: MakeTrainer, rows: Rows) -> None:
    class Stream:
        def __iter__(self) -> Iterator[Rows]:
            yield from zip(*(t.split(5) for t in rows), strict=True)

    settings = {"data": Stream(), "max_iter": 9, "checkpoint_every": 50}
    first = make_trainer(max_steps=4, **settings)
    first.fit()
    # That the fourth was the last batch is known only when the run goes on.
    assert (first.global_step, len(first.history)) == (4, 0)
    again = make_trainer(max_steps=5, **settings)
    again.fit(resume=True)
    whole = make_trainer(max_steps=5, log_folder="whole", **settings)
    whole.fit()
    assert again.history == whole.history
    assert len(whole.history) == 1
    assert same(again.model, whole.model)


@pytest.mark.parametrize(
    ("steps", "batches", "accumulate", "epochs"),
    [(10, 4, 1, 3), (8, 4, 1, 2), (10, 4, 3, 5), (99, 4, 1, 6), (10, None, 1, 6), (None, 4, 1, 6)],
)
def test_planned_epochs(
    make_trainer: MakeTrainer,
    steps: int | None,
    batches: int | None,
    accumulate: int,
    epochs: int,
) -> None:
    config = make_trainer(max_iter=6, max_steps=steps, accumulate=accumulate).config
    assert planned_epochs(config, batches) == epochs


def test_a_schedule_lasts_until_the_last_step(make_trainer: MakeTrainer) -> None:
    schedule = {"name": "cosine_annealing", "interval": "batch"}
    trainer = make_trainer(max_iter=9, max_steps=6, lr_scheduler=schedule)
    trainer.fit()
    assert trainer.schedule is not None
    assert trainer.schedule.scheduler.T_max == 6
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)
    per_epoch = make_trainer(max_iter=9, max_steps=6, lr_scheduler="cosine_annealing")
    per_epoch.fit()
    assert per_epoch.schedule is not None
    assert per_epoch.schedule.scheduler.T_max == 2


@pytest.mark.slow
def test_time(make_trainer: MakeTrainer, rows: Rows, capsys: pytest.CaptureFixture[str]) -> None:
    slow = Callback("train_batch_end", callback=lambda t, c, w: time.sleep(0.05))
    settings = {**KEPT, "verbose": True, "callbacks": [slow], "val": rows, "val_every": 1}
    first = make_trainer(max_iter=500, max_time=0.3, **settings)
    start = time.monotonic()
    first.fit()
    assert 0.3 <= time.monotonic() - start < 10
    # The callback alone takes the time of six steps.
    assert 1 <= first.global_step <= 6
    assert not first.interrupted
    assert first.stop_signal is None
    (saved,) = first.log_folder.glob("*.pt")
    told = f"Saved as {saved.name}: resume from it with resume=True.\n"
    out = capsys.readouterr().out
    assert out.startswith("Stopped by max_time=0.3 in epoch ")
    assert out.endswith(told)
    steps = first.global_step + 2
    again = make_trainer(max_iter=500, max_time="01:00:00", max_steps=steps, **settings)
    again.fit(resume=True)
    whole = make_trainer(max_iter=500, max_steps=steps, log_folder="whole", **settings)
    whole.fit()
    assert again.history == whole.history
    assert same(again.model, whole.model)


def test_time_that_ends_with_an_epoch(
    make_trainer: MakeTrainer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is saved before the validation, which may be long, and the resumed run makes it."""
    now = [0.0]
    monkeypatch.setattr(limits, "monotonic", lambda: now[0])

    def tick(trainer: Any, config: Any, writer: Any) -> None:
        now[0] += 1.0

    settings = {"max_iter": 9, "checkpoint_every": 50, "val": rows, "val_every": 1}
    ticks = Callback("train_batch_end", callback=tick)
    first = make_trainer(max_time=8, callbacks=[ticks], **settings)
    first.fit()
    assert (first.global_step, len(first.history)) == (8, 1)
    again = make_trainer(max_steps=8, **settings)
    again.fit(resume=True)
    whole = make_trainer(max_steps=8, log_folder="whole", **settings)
    whole.fit()
    assert again.global_step == 8
    assert again.history == whole.history
    assert len(whole.history) == 2


def stop_in_one(trainer: Any, config: Any, writer: Any) -> None:
    trainer.stop_training = trainer.opt_result.rank == 1 and trainer.global_step == 3


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"callbacks": [Callback("train_batch_end", callback=stop_in_one)]}, 3),
        # The processes have clocks of their own, and agree at the step after.
        ({"max_time": 1e-9}, 2),
        ({"max_steps": 3}, 3),
    ],
)
def test_several_processes_stop_at_the_same_step(
    make_trainer: MakeTrainer, settings: dict[str, Any], steps: int
) -> None:
    kept = {"max_iter": 50, "checkpoint_every": 50, "nprocs": 2}
    trainer = make_trainer(**kept, **settings)
    trainer.fit()
    assert trainer.global_step == steps
    assert len(trainer.history) == steps // 2 - ("max_time" in settings)
    (saved,) = trainer.log_folder.glob("*.pt")
    places = torch.load(saved, weights_only=True)["processes"]
    assert [place["position"]["batch"] for place in places] == [2 if steps == 2 else 1] * 2
