"""Early stopping in real runs; validations have the losses that the tests say."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import Callback, Trainer
from perceptrain.callbacks import EarlyStopping
from perceptrain.errors import CallbackError
from perceptrain_core.checkpoints.folder import checkpoint_path

MakeTrainer = Callable[..., Trainer]
LOSSES = (5.0, 3.0, 4.0, 3.5, 3.0, 2.0, 1.0)


def weights_by_epoch() -> tuple[Callback, dict[int, Tensor]]:
    seen: dict[int, Tensor] = {}

    def note(trainer: Any, config: Any, writer: Any) -> None:
        seen[trainer.current_epoch] = nn.utils.parameters_to_vector(
            trainer.model.parameters()
        ).clone()

    return Callback(callback=note), seen


def weights(trainer: Trainer) -> Tensor:
    return nn.utils.parameters_to_vector(trainer.model.parameters())


@pytest.mark.parametrize("stage", ["train_epoch_end", "val_epoch_end"])
def test_stops_after_patience_values_that_are_no_better(scripted: MakeTrainer, stage: str) -> None:
    stopping = EarlyStopping(stage, 1, "val_loss", 3)
    trainer = scripted(*LOSSES, callbacks=[stopping])
    trainer.fit()
    assert len(trainer.history) == trainer.current_epoch == 5
    assert stopping.best_value == 3.0
    assert stopping.best_epoch == 2
    assert stopping.counter == 3
    assert stopping.stopped_epoch == 5


def test_nothing_is_stopped_while_it_gets_better(scripted: MakeTrainer) -> None:
    stopping = EarlyStopping("train_epoch_end", 1, monitor="val_loss", patience=4)
    trainer = scripted(*LOSSES, callbacks=[stopping])
    trainer.fit()
    assert trainer.current_epoch == 7
    assert (stopping.best_value, stopping.counter, stopping.stopped_epoch) == (1.0, 0, None)


@pytest.mark.parametrize(
    ("mode", "delta", "stopped"), [("min", 0.0, 4), ("max", 0.0, None), ("max", 1.5, 3)]
)
def test_mode_and_delta(
    scripted: MakeTrainer, mode: str, delta: float, stopped: int | None
) -> None:
    stopping = EarlyStopping(monitor="val_loss", patience=3, mode=mode, delta=delta)
    if delta:
        stopping = EarlyStopping(monitor="val_loss", patience=2, mode=mode, delta=delta)
    scripted(1.0, 2.0, 2.5, 4.5, callbacks=[stopping]).fit()
    assert stopping.stopped_epoch == stopped


def test_epochs_without_the_metric_are_passed_over(scripted: MakeTrainer) -> None:
    stopping = EarlyStopping("train_epoch_end", 1, "val_loss", patience=2)
    trainer = scripted(1.0, 2.0, 3.0, max_iter=20, val_every=4, callbacks=[stopping])
    trainer.fit()
    assert stopping.stopped_epoch == trainer.current_epoch == 12


def test_called_every_looks_at_some_epochs_only(scripted: MakeTrainer) -> None:
    stopping = EarlyStopping("val_epoch_end", 2, "val_loss", patience=1)
    scripted(9.0, 3.0, 1.0, 4.0, 1.0, callbacks=[stopping]).fit()
    assert (stopping.best_epoch, stopping.stopped_epoch) == (2, 4)


def test_training_metrics(make_trainer: MakeTrainer) -> None:
    def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return (model(batch[0]) - batch[1]).square().mean(), {"constant": 7}

    stopping = EarlyStopping(monitor="train_constant", patience=2)
    make_trainer(loss_fn, max_iter=9, callbacks=[stopping]).fit()
    assert (stopping.best_value, stopping.stopped_epoch) == (7.0, 3)


def test_a_validation_knows_the_epochs_training_metrics(scripted: MakeTrainer) -> None:
    stopping = EarlyStopping("val_epoch_end", 1, "train_loss", patience=50)
    trainer = scripted(*LOSSES, callbacks=[stopping])
    trainer.fit()
    assert stopping.best_value == min(row["train_loss"] for row in trainer.history)


@pytest.mark.parametrize(
    ("monitor", "settings", "message"),
    [
        ("trian_loss", {}, "Its metrics are: train_loss. Did you mean 'train_loss'?"),
        ("loss", {}, "EarlyStopping monitors 'loss', which this run does not have"),
        ("val_loss", {}, "Its metrics are: train_loss. Set val_every and pass validation data"),
        ("val_acc", {"val_every": 2}, "Its metrics are: train_loss, val_loss"),
        ("accuracy", {"val_every": 2}, "Its metrics are: train_loss."),
    ],
)
def test_a_metric_that_never_comes(
    make_trainer: MakeTrainer, rows: Any, monitor: str, settings: Any, message: str
) -> None:
    stopping = EarlyStopping(monitor=monitor)
    with pytest.raises(CallbackError) as caught:
        make_trainer(val=rows, max_iter=4, callbacks=[stopping], **settings).fit()
    assert message in str(caught.value)


def test_a_metric_may_be_missing_later(make_trainer: MakeTrainer) -> None:
    calls = []

    def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        calls.append(batch)
        loss = (model(batch[0]) - batch[1]).square().mean()
        return loss, ({"warmup": 1.0} if len(calls) <= 8 else {})

    stopping = EarlyStopping(monitor="train_warmup", patience=3)
    trainer = make_trainer(loss_fn, max_iter=6, callbacks=[stopping])
    trainer.fit()
    assert (trainer.current_epoch, stopping.counter) == (6, 1)


@pytest.mark.parametrize(("stage", "every"), [("train_epoch_end", 4), ("val_epoch_end", 0)])
def test_a_validation_that_never_came_is_told(
    scripted: MakeTrainer, stage: str, every: int
) -> None:
    stopping = EarlyStopping(stage, monitor="val_loss")
    trainer = scripted(max_iter=3, val_every=every, callbacks=[stopping])
    with pytest.warns(UserWarning, match="'val_loss' was not available .* up to epoch 3"):
        trainer.fit()
    assert stopping.best_value == inf


def test_validations_by_hand_do_not_count(scripted: MakeTrainer) -> None:
    stopping = EarlyStopping("val_epoch_end", 1, "val_loss", patience=9)
    by_hand = Callback(callback=lambda trainer, config, writer: trainer.validate())
    trainer = scripted(0, 3, 1, 2, 1, 4, 1, 0, max_iter=3, callbacks=[by_hand, stopping])
    trainer.validate()
    trainer.fit()
    trainer.validate()
    assert (stopping.best_value, stopping.counter) == (2.0, 1)


def test_a_validation_by_hand_leaves_the_epoch_for_later_callbacks(scripted: MakeTrainer) -> None:
    by_hand = Callback(callback=lambda trainer, config, writer: trainer.validate())
    stopping = EarlyStopping(monitor="val_loss", patience=9)
    trainer = scripted(5, 1, 4, 1, 3, 1, max_iter=3, callbacks=[by_hand, stopping])
    trainer.fit()
    assert stopping.best_value == 3.0


def test_a_line_says_why(scripted: MakeTrainer, capsys: pytest.CaptureFixture[str]) -> None:
    stopping = EarlyStopping(monitor="val_loss", patience=2)
    scripted(1.5, 2.0, 2.0, 2.0, callbacks=[stopping], verbose=True, progress=False).fit()
    assert capsys.readouterr().out == (
        "Stopped after epoch 3: val_loss was best in epoch 1, 1.5.\n"
    )


@pytest.mark.parametrize(("epochs", "last"), [(9, 3), (2, 2)])
def test_the_last_epoch_is_printed_before_the_line(
    scripted: MakeTrainer, capsys: pytest.CaptureFixture[str], epochs: int, last: int
) -> None:
    settings = {"verbose": True, "progress": False, "print_every": 10, "max_iter": epochs}
    stopping = EarlyStopping(monitor="val_loss", patience=2)
    scripted(1.5, 2.0, 2.0, 2.0, callbacks=[stopping], **settings).fit()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["epoch", str(last)]
    assert [line.split()[0] for line in lines[1:]] == (["Stopped"] if last == 3 else [])


@pytest.mark.parametrize("epochs", [7, 4])
def test_best_weights_come_back(scripted: MakeTrainer, epochs: int) -> None:
    """Whether the run was stopped, or ended before."""
    stopping = EarlyStopping(monitor="val_loss", patience=3, restore_best=True)
    note, seen = weights_by_epoch()
    at_end = []
    end = Callback("train_end", callback=lambda trainer, c, w: at_end.append(weights(trainer)))
    trainer = scripted(*LOSSES, max_iter=epochs, callbacks=[stopping, note, end])
    trainer.fit()
    assert stopping.best_epoch == 2
    assert torch.equal(weights(trainer), seen[2])
    assert torch.equal(at_end[0], seen[2])
    assert not torch.equal(weights(trainer), seen[max(seen)])


def test_parameters_of_the_loss_come_back_too(make_trainer: MakeTrainer, rows: Any) -> None:
    class Offset(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.offset = nn.Parameter(torch.zeros(()))
            self.values = [1.0, 2.0, 3.0]

        def forward(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
            loss = (model(batch[0]) - batch[1] + self.offset).square().mean()
            return (loss if self.training else torch.tensor(self.values.pop(0))), {}

    seen: list[float] = []
    note = Callback(callback=lambda trainer, c, w: seen.append(trainer.loss_fn.offset.item()))
    stopping = EarlyStopping(monitor="val_loss", restore_best=True)
    settings = {"val": rows, "val_every": 1, "batch_size": 20, "max_iter": 3}
    trainer = make_trainer(Offset(), callbacks=[stopping, note], **settings)
    trainer.fit()
    assert trainer.loss_fn.offset.item() == seen[0] != seen[2]  # type: ignore[attr-defined]


def test_without_the_wish_no_weights_are_held(scripted: MakeTrainer) -> None:
    stopping = EarlyStopping(monitor="val_loss")
    scripted(*LOSSES, callbacks=[stopping]).fit()
    assert stopping.state_dict()["best_weights"] is None


@pytest.mark.slow
@pytest.mark.parametrize("stop", range(1, 6))
@pytest.mark.parametrize("restore_best", [False, True])
@pytest.mark.parametrize("stage", ["train_epoch_end", "val_epoch_end"])
def test_resumed_run_stops_where_the_whole_one_does(
    scripted: MakeTrainer, stop: int, restore_best: bool, stage: str
) -> None:
    def make(folder: str, first: int = 0, **settings: Any) -> tuple[Trainer, EarlyStopping]:
        stopping = EarlyStopping(stage, 1, "val_loss", 3, restore_best=restore_best)
        settings |= {"log_folder": folder, "checkpoint_every": 1, "keep_checkpoints": 0}
        return scripted(*LOSSES[first:], callbacks=[stopping], **settings), stopping

    whole, expected = make("whole", max_iter=7)
    whole.fit()
    make("parts", max_iter=7)[0].fit()
    resumed, stopping = make("parts", first=stop, max_iter=7)
    resumed.fit(resume=checkpoint_path(whole.log_folder.parent / "parts", stop))
    assert torch.equal(weights(whole), weights(resumed))
    assert whole.history == resumed.history
    assert stopping.stopped_epoch == expected.stopped_epoch == 5
    assert (stopping.best_value, stopping.best_epoch, stopping.counter) == (3.0, 2, 3)


def test_more_patience_goes_on_after_a_stop(scripted: MakeTrainer) -> None:
    settings: dict[str, Any] = {"max_iter": 8, "checkpoint_every": 1}
    first = EarlyStopping(monitor="val_loss", patience=2)
    scripted(1.0, 2.0, 2.0, callbacks=[first], **settings).fit()
    patient = EarlyStopping(monitor="val_loss", patience=4)
    trainer = scripted(2.0, 2.0, callbacks=[patient], **settings)
    trainer.fit(resume=True)
    assert patient.stopped_epoch == trainer.current_epoch == 5


def test_another_run_starts_over(scripted: MakeTrainer) -> None:
    stopping = EarlyStopping(monitor="val_loss", patience=2, restore_best=True)
    scripted(1.0, 2.0, 2.0, callbacks=[stopping]).fit()
    trainer = scripted(9.0, 8.0, 7.0, callbacks=[stopping])
    trainer.fit()
    assert trainer.current_epoch == 3
    assert (stopping.best_value, stopping.best_epoch, stopping.stopped_epoch) == (7.0, 3, None)


def test_by_name(scripted: MakeTrainer) -> None:
    named = {"name": "early_stopping", "monitor": "val_loss", "patience": 2}
    trainer = scripted(1.0, 2.0, 2.0, 2.0, callbacks=[named])
    trainer.fit()
    assert trainer.current_epoch == 3
