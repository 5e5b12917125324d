"""Ctrl-C ends a run and keeps what was reached."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import Callback, Trainer

from ..forked import ForkServer
from ..shared import same

MakeTrainer = Callable[..., Trainer]


class Interrupting:
    def __init__(self, at: int) -> None:
        self.at, self.calls = at, 0

    def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return F.mse_loss(model(batch[0]), batch[1]), {}


def test_from_inside_the_loss(
    make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[Any] = []
    trainer = make_trainer(
        Interrupting(at=10),
        max_iter=9,
        verbose=True,
        callbacks=[Callback("train_end", callback=lambda t, c, w: ended.append(t.current_epoch))],
    )
    trainer.model.eval()
    model, optimizer = trainer.fit()
    assert (model, optimizer) == (trainer.model, trainer.optimizer)
    assert trainer.interrupted
    assert len(trainer.history) == trainer.current_epoch == 2
    assert trainer.global_step == 9
    assert ended == [2]
    assert not model.training
    assert capsys.readouterr().out == "Interrupted in epoch 3; 2 epochs are complete.\n"


def test_at_the_end_of_an_epoch(
    make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(trainer: Any, config: Any, writer: Any) -> None:
        if trainer.current_epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    callbacks = [Callback("train_epoch_end", callback=stop)]
    trainer = make_trainer(max_iter=9, verbose=True, callbacks=callbacks)
    trainer.fit()
    assert trainer.interrupted
    assert len(trainer.history) == 2
    assert capsys.readouterr().out == "Interrupted after epoch 2; 2 epochs are complete.\n"


def test_silent_where_silence_is_asked(
    make_trainer: MakeTrainer, capfd: pytest.CaptureFixture[str]
) -> None:
    make_trainer(Interrupting(at=3)).fit()
    assert capfd.readouterr() == ("", "")


def test_interrupted_run_can_be_resumed(make_trainer: MakeTrainer) -> None:
    whole = make_trainer(max_iter=4, log_folder="whole")
    whole.fit()
    make_trainer(Interrupting(at=10), max_iter=4, checkpoint_every=1).fit()
    again = make_trainer(max_iter=4, checkpoint_every=1)
    with pytest.warns(UserWarning, match="loss: Interrupting then, mse_loss now"):
        again.fit(resume=True)
    assert not again.interrupted
    assert again.history == whole.history
    assert same(whole.model, again.model)


def test_the_midst_of_a_step_is_no_place_to_go_on_from(make_trainer: MakeTrainer) -> None:
    save = {"name": "save_checkpoint", "on": "train_end"}
    trainer = make_trainer(Interrupting(at=10), max_iter=4, checkpoint_every=2, callbacks=[save])
    trainer.fit()
    place = trainer.log_folder / "checkpoint_epoch_000002.pt"
    assert [*trainer.log_folder.iterdir()] == [place]
    assert torch.load(place, weights_only=True)["global_step"] == 8


SCRIPT = """
import torch
from perceptrain import FFNN, TrainConfig, Trainer
x = torch.randn(64, 2)
model = FFNN([2, 8, 1])
config = TrainConfig(max_iter=10**9, batch_size=16)
trainer = Trainer(model, torch.optim.Adam(model.parameters()), config)
trainer.on_train_epoch_end = lambda row: print("epoch", flush=True)
trainer.fit((x, x[:, :1]))
assert trainer.interrupted and trainer.history
assert all(p.isfinite().all() for p in model.parameters())
print("came back")
"""


@pytest.mark.skipif(os.name != "posix", reason="a signal of POSIX")
def test_signal_to_a_process(tmp_path: Path, forks: ForkServer) -> None:
    process = forks.start("-c", SCRIPT, cwd=tmp_path)
    assert process.stdout.readline() == "epoch\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.endswith("came back\n")
    assert out.startswith("Interrupted ")
    assert "Traceback" not in err
