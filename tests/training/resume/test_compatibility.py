"""What has changed since the run that is resumed is told; nothing is lost in silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import Callback, Trainer, to_dataloader
from perceptrain.callbacks import EarlyStopping, LoadCheckpoint, LRSchedulerStepDecay
from perceptrain.errors import CheckpointError

MakeTrainer = Callable[..., Trainer]


class Weighing(nn.Module):
    """A loss with a state of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        return (model(batch[0]) - batch[1]).square().mean(), {}


class Stubborn:
    """A loss that takes no state back."""

    def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        return (model(batch[0]) - batch[1]).square().mean(), {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        raise KeyError("temperature")


def midway(make_trainer: MakeTrainer, batches: int = 2, **settings: Any) -> None:
    """Leave the checkpoint of a run that was stopped in its first epoch of four batches."""
    save = {"name": "save_checkpoint", "on": "train_batch_end", "called_every": batches}
    trainer = make_trainer(
        callbacks=[save], options={"max_batches": None}, **{"max_iter": 1} | settings
    )
    trainer.fit()
    for path in trainer.log_folder.glob("checkpoint_epoch*"):
        if not path.name.endswith(f"_batch_{batches:09d}.pt"):
            path.unlink()


def refused(trainer: Trainer, message: str) -> None:
    before = [p.detach().clone() for p in trainer.model.parameters()]
    with pytest.raises(CheckpointError, match=message):
        trainer.fit(resume=True)
    assert all(map(torch.equal, before, trainer.model.parameters()))
    assert trainer.history == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 4}, "batches 4 then, 5 now; batch_size 5 then, 4 now"),
        ({"shuffle": True}, "order SequentialSampler then, RandomSampler now"),
    ],
)
def test_other_data_in_the_midst_of_an_epoch(
    make_trainer: MakeTrainer, change: dict[str, Any], message: str
) -> None:
    midway(make_trainer)
    refused(make_trainer(**change), message)


def test_other_rows_in_the_midst_of_an_epoch(
    make_trainer: MakeTrainer, rows: tuple[Tensor, Tensor]
) -> None:
    midway(make_trainer)
    fewer = (rows[0][:-1], rows[1][:-1])
    refused(make_trainer(data=fewer), "differ: rows 20 then, 19 now. Pass the data that")
    both = {"a": to_dataloader(rows[0], batch_size=5), "b": to_dataloader(rows[1], batch_size=4)}
    refused(make_trainer(data=both), r"a\.rows None then, 20 now")


def test_other_data_between_two_epochs(
    make_trainer: MakeTrainer, rows: tuple[Tensor, Tensor]
) -> None:
    make_trainer(checkpoint_every=1).fit()
    more = tuple(torch.cat([part, part]) for part in rows)
    trainer = make_trainer(data=more, max_iter=3)
    told = "different training data; batches 4 then, 8 now; rows 20 then, 40 now"
    with pytest.warns(UserWarning, match=told):
        trainer.fit(resume=True)
    assert trainer.global_step == 2 * 4 + 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accumulate": 2}, "accumulate: 1 then, 2 now"),
        ({"seed": 3}, "seed: None then, 3 now"),
        ({"grad_clip": 1.0}, "grad_clip: None then, 1.0 now"),
    ],
)
def test_other_settings(make_trainer: MakeTrainer, change: dict[str, Any], message: str) -> None:
    make_trainer(checkpoint_every=1).fit()
    with pytest.warns(UserWarning, match=f"000002.pt was saved with different settings; {message}"):
        make_trainer(max_iter=3, **change).fit(resume=True)


def test_settings_that_change_no_number(make_trainer: MakeTrainer) -> None:
    make_trainer(checkpoint_every=1).fit()
    make_trainer(max_iter=3, keep_checkpoints=2, write_every=1, progress=False).fit(resume=True)


@pytest.mark.parametrize("first", [None, 0.9])
def test_average_come_or_gone(make_trainer: MakeTrainer, first: float | None) -> None:
    make_trainer(checkpoint_every=1, ema=first).fit()
    message = "holds no averaged_model" if first is None else r"state of an averaged model \(ema\)"
    refused(make_trainer(ema=0.9 if first is None else None), message)


def test_all_parts_that_are_missing_are_named(make_trainer: MakeTrainer) -> None:
    make_trainer(checkpoint_every=1, ema=0.9, lr_scheduler="cosine_annealing").fit()
    refused(
        make_trainer(), r"state of an averaged model \(ema\) and a learning-rate scheduler, which"
    )


def test_loss_with_a_state_and_without(make_trainer: MakeTrainer) -> None:
    make_trainer(Weighing(), checkpoint_every=1).fit()
    with pytest.warns(UserWarning, match="loss: Weighing then, Stubborn now"):
        refused(make_trainer(Stubborn()), r"does not fit the loss: 'temperature'")
    refused(make_trainer(lambda b, m: (m(b[0]).mean(), {})), "state of a loss, which this run does")
    make_trainer(Weighing().forward, checkpoint_every=1).fit()
    refused(make_trainer(Weighing()), "holds no loss; it holds")


def test_other_dtype_is_converted_knowingly(make_trainer: MakeTrainer) -> None:
    make_trainer(checkpoint_every=1, dtype="float64").fit()
    trainer = make_trainer(max_iter=3)
    with (
        pytest.warns(UserWarning, match="model: torch.float64 in the checkpoint, converted to tor"),
        pytest.warns(UserWarning, match="dtype: torch.float64 then, None now"),
    ):
        trainer.fit(resume=True)
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}
    assert {s["exp_avg"].dtype for s in trainer.optimizer.state.values()} == {torch.float32}


def test_other_optimizer_with_the_same_state(
    make_trainer: MakeTrainer, make_net: Callable[..., nn.Module]
) -> None:
    make_trainer(checkpoint_every=1).fit()
    net = make_net()
    other = make_trainer(model=net, optimizer=torch.optim.AdamW(net.parameters()), max_iter=3)
    with pytest.warns(UserWarning, match="optimizer: Adam then, AdamW now"):
        other.fit(resume=True)


@pytest.mark.filterwarnings("ignore:The optimizer does not have:UserWarning")
def test_other_parameters_in_the_optimizer(
    make_trainer: MakeTrainer, make_net: Callable[..., nn.Module]
) -> None:
    def trainer(*chosen: int) -> Trainer:
        net = make_net()
        own = list(net.parameters())
        optimizer = torch.optim.Adam([own[number] for number in chosen])
        return make_trainer(model=net, optimizer=optimizer, checkpoint_every=1)

    trainer(0, 1, 2).fit()
    refused(trainer(0, 1), r"parameters in each group: \[2\] here, \[3\] saved")
    refused(trainer(0, 1, 3), r"exp_avg of parameter 2: shape \(1,\) here, \(1, 8\) saved")


def test_learning_rate_is_that_of_the_checkpoint(make_trainer: MakeTrainer) -> None:
    make_trainer(checkpoint_every=1).fit()
    trainer = make_trainer(max_iter=3, checkpoint_every=1)
    trainer.optimizer.param_groups[0]["lr"] = 5.0
    with pytest.warns(UserWarning, match=r"resumes with the saved ones; lr: 0\.01 then, 5\.0 now"):
        trainer.fit(resume=True)
    assert trainer.optimizer.param_groups[0]["lr"] == 0.01
    # What was trained with is saved, not what was asked for: there is nothing to warn of.
    make_trainer(max_iter=4).fit(resume=True)


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        ("mse", {"name": "huber", "delta": 0.1}, r"huber_loss\(delta=0\.1\) now"),
        ({"name": "huber", "delta": 0.2}, "huber", r"huber_loss\(delta=0\.2\) then"),
        (lambda b, m: (m(b[0]).square().mean(), {}), "mse", "loss: <lambda> then, mse_loss now"),
    ],
)
def test_other_loss_is_told(make_trainer: MakeTrainer, then: Any, now: Any, told: str) -> None:
    make_trainer(then, checkpoint_every=1).fit()
    with pytest.warns(UserWarning, match=told):
        make_trainer(now, max_iter=3).fit(resume=True)


def test_callback_put_in_front_takes_nothing_from_the_others(make_trainer: MakeTrainer) -> None:
    make_trainer(callbacks=[EarlyStopping(patience=9)], checkpoint_every=1).fit()
    stopping = EarlyStopping(patience=9)
    silent = Callback("train_epoch_end", callback=lambda t, c, w: None)
    make_trainer(callbacks=[silent, stopping], checkpoint_every=1).fit(resume=True)
    assert stopping.best_epoch == 2


def test_callbacks_come_and_gone_are_named(make_trainer: MakeTrainer) -> None:
    make_trainer(callbacks=[EarlyStopping(), EarlyStopping()], checkpoint_every=1).fit()
    trainer = make_trainer(callbacks=[LRSchedulerStepDecay("train_epoch_end", 1, 0.5)], max_iter=3)
    with (
        pytest.warns(UserWarning, match="it is dropped; EarlyStopping; EarlyStopping 2"),
        pytest.warns(UserWarning, match="start fresh; LRSchedulerStepDecay"),
    ):
        trainer.fit(resume=True)


def test_callback_that_does_not_take_its_state(make_trainer: MakeTrainer) -> None:
    class Counting(Callback):
        def state_dict(self) -> dict[str, Any]:
            return {"old": 1}

        def load_state_dict(self, state: Any) -> None:
            raise KeyError("new")

    def trainer() -> Trainer:
        counting = Counting("train_epoch_end", callback=lambda t, c, w: None)
        return make_trainer(callbacks=[counting], checkpoint_every=1)

    trainer().fit()
    refused(trainer(), "does not fit the callback Counting: .*new")


def test_weights_of_a_run_that_is_resumed_in_its_first_epoch_stay(
    make_trainer: MakeTrainer,
) -> None:
    """LoadCheckpoint starts a run, and leaves one alone that goes on."""
    make_trainer(checkpoint_every=1, log_folder="old").fit()
    start = LoadCheckpoint(path="runs/old")
    whole = make_trainer(max_iter=2, callbacks=[start], log_folder="whole")
    whole.fit()
    midway(make_trainer, max_iter=1, log_folder="new")
    resumed = make_trainer(max_iter=2, callbacks=[start], log_folder="new")
    plain = make_trainer(max_iter=2, log_folder="new")
    resumed.fit(resume=True)
    plain.fit(resume=True)
    assert resumed.history == plain.history
    assert resumed.history != whole.history
