"""The moving average of the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import Callback, Trainer, load_checkpoint, load_model
from perceptrain.callbacks import EarlyStopping, LoadCheckpoint, SaveCheckpoint

MakeTrainer = Callable[..., Trainer]


def flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_is_the_moving_average_of_the_weights_after_each_step(make_trainer: MakeTrainer) -> None:
    after: list[torch.Tensor] = []
    look = Callback("train_batch_end", 1, lambda t, c, w: after.append(flat(t.model)))
    trainer = make_trainer(ema=0.8, max_iter=3, callbacks=[look])
    model, _ = trainer.fit()
    average = after[0]
    for number, weights in enumerate(after[1:], start=1):
        decay = min(0.8, (1 + number) / (10 + number))
        average = decay * average + (1 - decay) * weights
    torch.testing.assert_close(flat(trainer.averaged_model.module), average)
    assert torch.equal(flat(model), flat(trainer.averaged_model.module))
    assert not torch.equal(flat(model), after[-1])


def test_a_short_training_does_not_keep_its_initial_weights(make_trainer: MakeTrainer) -> None:
    plain, averaged = (make_trainer(max_iter=50, seed=1, ema=ema) for ema in (None, 0.999))
    for trainer in (plain, averaged):
        trainer.fit()
    assert plain.global_step == 200
    start = plain.history[0]["train_loss"]
    raw, mean = (t.validate(t.train_dataloader)["val_loss"] for t in (plain, averaged))
    assert mean - raw < 0.1 * (start - raw)


def test_is_what_validations_look_at(make_trainer: MakeTrainer, rows: Any) -> None:
    trainer = make_trainer(ema=0.9, val=rows, val_every=1, max_iter=4)
    model, _ = trainer.fit()
    expected = nn.functional.mse_loss(model(rows[0]), rows[1]).item()
    assert trainer.history[-1]["val_loss"] == pytest.approx(expected)
    assert trainer.validate(rows)["val_loss"] == pytest.approx(expected)


def test_buffers_are_those_of_the_model(make_trainer: MakeTrainer) -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    trainer = make_trainer(model=net, ema=0.5)
    trainer.fit()
    assert net[1].num_batches_tracked == 8
    assert torch.equal(trainer.averaged_model.module[1].running_mean, net[1].running_mean)


def test_checkpoints_hold_both(make_trainer: MakeTrainer) -> None:
    def trainer(epochs: int, folder: str) -> Trainer:
        save = SaveCheckpoint("train_epoch_end", 1)
        return make_trainer(ema=0.9, max_iter=epochs, log_folder=folder, callbacks=[save])

    whole = trainer(5, "whole")
    whole.fit()
    trainer(2, "parts").fit()
    again = trainer(5, "parts")
    again.fit(resume=True)
    assert torch.equal(flat(whole.model), flat(again.model))
    assert torch.equal(flat(whole.averaged_model), flat(again.averaged_model))


def test_a_model_that_is_loaded_to_be_used_has_the_average(
    make_trainer: MakeTrainer, make_net: Callable[..., nn.Module]
) -> None:
    raw: list[torch.Tensor] = []
    trainer = make_trainer(
        ema=0.9,
        checkpoint_every=2,
        callbacks=[Callback("train_epoch_end", 2, lambda t, c, w: raw.append(flat(t.model)))],
    )
    model, _ = trainer.fit()
    assert torch.equal(flat(load_model(trainer.log_folder, make_net())), flat(model))
    assert torch.equal(flat(load_checkpoint(trainer.log_folder, make_net())[0]), flat(model))
    assert not torch.equal(raw[0], flat(model))
    for ema in (None, 0.9):
        load = LoadCheckpoint(path=trainer.log_folder)
        again = make_trainer(ema=ema, max_iter=0, callbacks=[load], log_folder="again")
        again.fit()
        assert torch.equal(flat(again.model), flat(model))


def test_the_best_of_it_is_put_back(make_trainer: MakeTrainer, rows: Any) -> None:
    stopping = EarlyStopping("train_epoch_end", 1, "val_loss", 99, "max", restore_best=True)
    trainer = make_trainer(ema=0.5, max_iter=5, val=rows, val_every=1, callbacks=[stopping])
    trainer.fit()
    assert stopping.best_epoch == 1
    assert trainer.validate(rows)["val_loss"] == pytest.approx(stopping.best_value)


def test_none_by_default(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    trainer.fit()
    assert trainer.averaged_model is None


def test_after_the_fit_the_model_itself_is_looked_at(make_trainer: MakeTrainer, rows: Any) -> None:
    seen: list[torch.Tensor] = []
    trainer = make_trainer(
        ema=0.9, callbacks=[Callback("train_end", 1, lambda t, c, w: seen.append(flat(t.model)))]
    )
    model, _ = trainer.fit()
    assert torch.equal(seen[0], flat(model))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert trainer.validate(rows)["val_loss"] == pytest.approx(rows[1].square().mean().item())
