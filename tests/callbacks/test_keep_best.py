"""The best weights come back at the end of a fit that is not stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import Callback, TrainConfig, Trainer, get_callback
from perceptrain.callbacks import KeepBest, SaveCheckpoint
from perceptrain.errors import CallbackError
from perceptrain_core.checkpoints.folder import checkpoint_path, list_checkpoints

MakeTrainer = Callable[..., Trainer]
ERRORS = (5.0, 3.0, 4.0, 3.5, 3.2, 6.0, 7.0)


def weights(trainer: Any) -> Tensor:
    return nn.utils.parameters_to_vector(trainer.model.parameters()).detach().clone()


def add_error(trainer: Any, config: Any, writer: Any) -> None:
    """Add a metric in every second epoch, as a measurement that takes its time."""
    if trainer.current_epoch % 2 == 0:
        trainer.opt_result.metrics["error"] = ERRORS[trainer.current_epoch - 1]


@pytest.mark.parametrize(("mode", "best"), [("min", 2), ("max", 6)])
def test_the_fit_ends_with_the_best_weights(
    make_trainer: MakeTrainer, mode: str, best: int
) -> None:
    seen: dict[int, Tensor] = {}
    note = Callback(callback=lambda t, c, w: seen.update({t.current_epoch: weights(t)}))
    keep = KeepBest("error", mode, called_every=2)
    callbacks = [Callback(callback=add_error), keep, note]
    trainer = make_trainer(callbacks=callbacks, max_iter=7)
    trainer.fit()
    assert len(trainer.history) == 7
    assert keep.best_epoch == best
    assert keep.best_value == ERRORS[best - 1]
    assert torch.equal(weights(trainer), seen[best])
    assert not torch.equal(weights(trainer), seen[7])


def test_a_resumed_run_ends_as_the_whole_one(make_trainer: MakeTrainer) -> None:
    def make(folder: str) -> Trainer:
        callbacks = [Callback(callback=add_error), KeepBest("error", called_every=2)]
        settings: dict[str, Any] = {"log_folder": folder, "checkpoint_every": 1}
        return make_trainer(callbacks=callbacks, max_iter=7, keep_checkpoints=0, **settings)

    whole = make("whole")
    whole.fit()
    resumed = make("parts")
    resumed.fit(resume=checkpoint_path(whole.log_folder, 5))
    assert torch.equal(weights(whole), weights(resumed))


def test_it_has_a_name_and_needs_its_metric(make_trainer: MakeTrainer) -> None:
    keep = get_callback("keep_best", monitor="error")
    assert isinstance(keep, KeepBest)
    with pytest.raises(CallbackError, match="error"):
        make_trainer(callbacks=[keep], max_iter=2).fit()


class Number(nn.Module):
    """A single parameter, which SGD along |w| takes from 1 to 0.7, 0.4, 0.1, -0.2 and 0.1."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))


def absolute(batch: Any, model: Any) -> tuple[Tensor, dict[str, Any]]:
    return model.w.abs() + 0 * batch[0].sum(), {}


def along_absolute(callback: Callback, batches: int = 1, **settings: Any) -> Trainer:
    model = Number()
    config = TrainConfig(callbacks=[callback], **{"max_iter": 6, "verbose": False, **settings})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    data = [(torch.zeros(1, 1, dtype=torch.float64),)] * batches
    return Trainer(model, optimizer, config, absolute, data)


@pytest.mark.parametrize("called_every", [1, 2])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_weights_that_had_the_best_loss(called_every: int, accumulate: int) -> None:
    keep = KeepBest(called_every=called_every)
    trainer = along_absolute(keep, accumulate, accumulate=accumulate)
    trainer.fit()
    assert keep.best_epoch == 4
    assert weights(trainer).item() == pytest.approx(0.1)
    assert keep.best_value == pytest.approx(0.1)


def test_an_epoch_of_several_steps_ends_with_its_last() -> None:
    keep = KeepBest()
    trainer = along_absolute(keep, 2)  # the means are 0.85, 0.25 and then 0.15
    trainer.fit()
    assert keep.best_value == pytest.approx(0.15)
    assert keep.best_epoch == 3
    assert weights(trainer).item() == pytest.approx(-0.2)
    assert keep.state_dict()["first_weights"] is None


def test_runs_resumed_before_and_after_the_end_of_an_epoch(tmp_path: Any) -> None:
    save = SaveCheckpoint("train_batch_end", 1)
    whole = along_absolute(KeepBest(), log_folder=tmp_path / "whole", keep_checkpoints=0)
    whole.config.callbacks += [save]
    whole.fit()
    found = list_checkpoints(whole.log_folder)
    assert len(found) >= 6
    for number, path in enumerate(found):
        resumed = along_absolute(KeepBest(), log_folder=tmp_path / str(number))
        resumed.fit(resume=path)
        assert weights(resumed).item() == pytest.approx(0.1)


def test_says_which_weights_it_restores(capsys: Any) -> None:
    along_absolute(KeepBest(), verbose=True, progress=False).fit()
    assert "Restored the weights of epoch 4 from before its step." in capsys.readouterr().out
