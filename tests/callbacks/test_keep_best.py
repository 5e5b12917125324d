"""The best weights come back at the end of a fit that is not stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import Callback, Trainer, get_callback
from perceptrain.callbacks import KeepBest
from perceptrain.errors import CallbackError
from perceptrain_core.checkpoints.folder import checkpoint_path

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
