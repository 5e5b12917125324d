"""What a subclass overrides is called in order, with the right arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import Callback, OptimizeResult, Trainer
from perceptrain_core.trackers.none import SilentTracker
from perceptrain_core.training.events import Events

MakeTrainer = Callable[..., Trainer]


class Recording(Trainer):
    """Notes every call of a hook."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


def _recorder(name: str) -> Callable[..., None]:
    def hook(self: Recording, *arguments: Any) -> None:
        self.calls.append((name, arguments))

    return hook


BATCH = ["batch_start", "batch_end"]
for stage in ["train", "train_epoch", "val_epoch"]:
    for end in ["start", "end"]:
        setattr(Recording, f"on_{stage}_{end}", _recorder(f"{stage}_{end}"))
for stage in ["train", "val", "test"]:
    for end in BATCH:
        setattr(Recording, f"on_{stage}_{end}", _recorder(f"{stage}_{end}"))


@pytest.fixture
def recorded(make_trainer: MakeTrainer, rows: Any) -> Recording:
    trainer = make_trainer(
        val=rows, test=rows, kind=Recording, batch_size=10, max_iter=2, val_every=2
    )
    assert isinstance(trainer, Recording)
    trainer.fit()
    return trainer


def test_order(recorded: Recording) -> None:
    train = ["train_batch_start", "train_batch_end"] * 2
    val = ["val_epoch_start", *["val_batch_start", "val_batch_end"] * 2, "val_epoch_end"]
    first = ["train_epoch_start", *train, "train_epoch_end"]
    second = ["train_epoch_start", *train, *val, "train_epoch_end"]
    assert recorded.names() == ["train_start", *first, *second, "train_end"]
    recorded.calls.clear()
    recorded.test()
    assert recorded.names() == ["test_batch_start", "test_batch_end"] * 2


def test_arguments(recorded: Recording, rows: Any) -> None:
    given = {}
    for name, arguments in recorded.calls:
        given.setdefault(name, arguments)
    for name in ("train_start", "train_epoch_start", "val_epoch_start"):
        assert given[name] == ()
    for name in ("train_batch_start", "val_batch_start"):
        (batch,) = given[name]
        assert torch.equal(batch[0], rows[0][:10])
    for name in ("train_batch_end", "val_batch_end"):
        ((loss, metrics),) = given[name]
        assert loss.dim() == 0
        assert not loss.requires_grad
        assert metrics == {}
    assert given["train_epoch_end"] == (recorded.history[0],)
    assert given["val_epoch_end"] == ({"val_loss": recorded.history[1]["val_loss"]},)


def test_losses_at_the_end(recorded: Recording) -> None:
    train_losses, val_losses = recorded.calls[-1][1]
    assert [loss for loss, _ in train_losses] == [r["train_loss"] for r in recorded.history]
    assert [metrics for _, metrics in val_losses] == [{"val_loss": recorded.history[1]["val_loss"]}]


def test_hook_of_an_object(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    seen: list[Any] = []
    trainer.on_train_epoch_end = seen.append  # type: ignore[method-assign]
    trainer.fit()
    assert seen == trainer.history


def test_hooks_come_before_callbacks(make_trainer: MakeTrainer) -> None:
    callback = Callback("train_epoch_end", callback=lambda t, c, w: t.calls.append(("mine", ())))
    trainer: Any = make_trainer(kind=Recording, callbacks=[callback], max_iter=1)
    trainer.fit()
    assert trainer.names()[-3:] == ["train_epoch_end", "mine", "train_end"]


def test_fit_of_a_subclass_is_honoured(make_trainer: MakeTrainer) -> None:
    class Own(Trainer):
        def fit(self, *args: Any, **kwargs: Any) -> Any:
            model, optimizer = super().fit(*args, **kwargs)
            return model, optimizer, "more"

    assert make_trainer(kind=Own).fit()[-1] == "more"


def test_result_and_counters_after_each_step(make_trainer: MakeTrainer) -> None:
    seen = []

    def look(trainer: Any, config: Any, writer: Any) -> None:
        result = trainer.opt_result
        assert isinstance(result.loss, Tensor)
        seen.append((trainer.current_epoch, trainer.global_step, result.iteration))

    make_trainer(batch_size=10, callbacks=[Callback("train_batch_end", callback=look)]).fit()
    assert seen == [(1, 1, 1), (1, 2, 1), (2, 3, 2), (2, 4, 2)]


def stopping_at(step: int, on: str) -> Callback:
    def stop(trainer: Any, config: Any, writer: Any) -> None:
        trainer.stop_training = trainer.global_step >= step

    return Callback(on, callback=stop)


def test_stop_training_on_a_batch_stage_ends_after_the_step(
    make_trainer: MakeTrainer, rows: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    callbacks = [stopping_at(6, "train_batch_end")]
    trainer = make_trainer(max_iter=9, callbacks=callbacks, val=rows, val_every=1, verbose=True)
    trainer.fit()
    assert (trainer.global_step, trainer.current_epoch, len(trainer.history)) == (6, 1, 1)
    assert not trainer.interrupted
    told = "Stopped by stop_training in epoch 2; 1 epoch is complete.\n"
    assert capsys.readouterr().out == told


def test_stop_training_at_the_last_step_completes_the_epoch(
    make_trainer: MakeTrainer, rows: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    callbacks = [stopping_at(8, "train_batch_end")]
    trainer = make_trainer(max_iter=9, callbacks=callbacks, val=rows, val_every=1, verbose=True)
    trainer.fit()
    assert (trainer.global_step, trainer.current_epoch, len(trainer.history)) == (8, 2, 2)
    assert "val_loss" in trainer.history[-1]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("on", ["train_epoch_start", "val_epoch_end", "train_epoch_end"])
def test_stop_training_on_an_epoch_stage_ends_after_the_epoch(
    make_trainer: MakeTrainer, rows: Any, on: str
) -> None:
    trainer = make_trainer(max_iter=9, callbacks=[stopping_at(4, on)], val=rows, val_every=1)
    trainer.fit()
    assert len(trainer.history) == trainer.current_epoch == (2 if "start" in on else 1)
    assert trainer.global_step == 4 * len(trainer.history)


def test_criterion_to_stop_is_asked_after_each_epoch(make_trainer: MakeTrainer) -> None:
    asked = []

    def enough(result: OptimizeResult) -> bool:
        assert result.loss == result.metrics["train_loss"]
        asked.append(result.iteration)
        return result.iteration == 3

    trainer = make_trainer(max_iter=50, trainstop_criterion=enough)
    trainer.fit()
    assert asked == [1, 2, 3]
    assert len(trainer.history) == 3


def test_stopping_is_forgotten_by_the_next_fit(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_iter=2)
    trainer.fit()
    trainer.stop_training = True
    trainer.fit()
    assert len(trainer.history) == 2


def test_nobody_asked_nothing_is_called(make_trainer: MakeTrainer) -> None:
    """A stage without hook or callback costs nothing in the loop."""
    trainer = make_trainer(write_every=1)
    events = Events(trainer, trainer.config, SilentTracker())
    assert {stage.value for stage in events.stages} == {"train_epoch_end"}


def test_callbacks_see_the_model_in_training_mode(make_trainer: MakeTrainer) -> None:
    modes = []
    callback = Callback(callback=lambda t, c, w: modes.append(t.model.training))
    model = nn.Linear(2, 1).eval()
    make_trainer(model=model, callbacks=[callback]).fit()
    assert modes == [True, True]
    assert not model.training


def test_a_metric_of_a_callback_is_a_number_of_the_epoch(make_trainer: MakeTrainer) -> None:
    def add(trainer: Any, config: Any, writer: Any) -> None:
        trainer.opt_result.metrics["norm"] = torch.tensor(2.0)

    callback = Callback("train_epoch_end", callback=add)
    trainer = make_trainer(callbacks=[callback], tracking_tool="csv", write_every=1)
    trainer.fit()
    assert [row["norm"] for row in trainer.history] == [2.0, 2.0]
    assert all(type(row["norm"]) is float for row in trainer.history)
    header, *rows = (trainer.log_folder / "metrics.csv").read_text().splitlines()
    assert "norm" in header.split(",")
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("run_train_batch", "pass optimize_step=f"),
        ("run_validation", "override on_val_epoch_start"),
    ],
)
def test_methods_that_fit_never_calls_are_named(
    make_trainer: MakeTrainer, name: str, advice: str
) -> None:
    kind = type("Mine", (Trainer,), {name: lambda self, *_: None})
    with pytest.warns(UserWarning, match=rf"fit never calls Mine\.{name}\. .*{advice}") as seen:
        make_trainer(kind=kind)
    assert len(seen) == 1
