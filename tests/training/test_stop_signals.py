"""SIGINT and SIGTERM to real processes: they stop after a step, and resume from there."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader, TensorDataset

from perceptrain import Callback, Trainer, ValidationSets
from perceptrain_core.training.stop_signals import StopSignals

from ..forked import ForkedProcess, ForkServer
from ..shared import noisy_net

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

MakeTrainer = Callable[..., Trainer]

SCRIPT = """
import sys
import time
import torch
from torch import nn
from perceptrain import Callback, TrainConfig, Trainer
torch.set_num_threads(1)
mode, checkpoints = sys.argv[1], int(sys.argv[2])
x = torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
told = Callback("train_batch_end", callback=lambda t, c, w: print("step", flush=True))

def loss(batch, model):
    if mode == "slow":
        time.sleep(0.02)
    if mode == "hang":
        print("hangs", flush=True)
        time.sleep(60)
    return (model(batch[0]) - batch[1]).square().mean(), {}

def train(resume, folder="./"):
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1))
    config = TrainConfig(
        max_iter=30, batch_size=5, seed=5, progress=False, checkpoint_every=checkpoints,
        callbacks=[told], tracking_tool="csv", log_folder=folder,
    )
    trainer = Trainer(model, "adam", config, loss, (x, x[:, :1]))
    trainer.fit(resume=resume)
    return trainer

trainer = train(resume=mode == "resume")
if mode == "resume":
    whole = train(False, "whole")
    assert trainer.history == whole.history
    states = trainer.model.state_dict().values(), whole.model.state_dict().values()
    assert all(map(torch.equal, *states))
print(trainer.interrupted, trainer.stop_signal)
sys.exit(7)
"""


Start = Callable[..., ForkedProcess]


@pytest.fixture
def process(forks: ForkServer, tmp_path: Path) -> Start:
    def start(mode: str, checkpoints: int = 9) -> ForkedProcess:
        return forks.start("-c", SCRIPT, mode, str(checkpoints), cwd=tmp_path)

    return start


def wait_for(running: ForkedProcess, line: str, times: int = 1) -> None:
    for _ in range(times):
        assert running.stdout.readline() == f"{line}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGINT, "Interrupted"), (signal.SIGTERM, "Stopped by SIGTERM")]
)
def test_stops_after_a_step_and_goes_on_from_there(
    process: Start, tmp_path: Path, number: signal.Signals, told: str
) -> None:
    with process("slow") as running:
        wait_for(running, "step", times=6)
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (7, "")
    assert out.endswith(f"True {number.name}\n")
    where = rf"{told} in epoch (\d+); (\d+) epochs? (?:is|are) complete\. Saved as (\S+): resume"
    found = re.search(where, out)
    assert found is not None, out
    assert int(found[1]) == int(found[2]) + 1
    assert [path.name for path in (tmp_path / "runs").glob("*.pt")] == [found[3]]
    with process("resume") as running:
        out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (7, "")
    assert out.endswith("False None\n")


def test_second_signal_ends_a_step_that_hangs(process: Start, tmp_path: Path) -> None:
    with process("hang", checkpoints=0) as running:
        wait_for(running, "hangs")
        running.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert running.poll() is None
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert (running.returncode, err) == (7, "")
    assert "Interrupted in epoch 1; 0 epochs are complete.\nTrue SIGINT\n" in out
    # The run keeps no checkpoints.
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("batch", [1, 4])
def test_a_validation_stops_after_the_batch_and_is_repeated(
    make_trainer: MakeTrainer, rows: Any, batch: int
) -> None:
    seen: list[int] = []

    def stop(trainer: Any, config: Any, writer: Any) -> None:
        seen.append(1)
        if len(seen) == 4 + batch:
            os.kill(os.getpid(), signal.SIGTERM)

    def trainer(folder: str, **settings: Any) -> Trainer:
        return make_trainer(
            val=rows, val_every=1, max_iter=3, checkpoint_every=9, log_folder=folder, **settings
        )

    whole, stopped = (
        trainer("whole"),
        trainer("parts", callbacks=[Callback("val_batch_end", callback=stop)]),
    )
    whole.fit()
    stopped.fit()
    assert len(seen) == 4 + batch
    assert (stopped.interrupted, stopped.stop_signal) == (True, "SIGTERM")
    assert (len(stopped.history), stopped.global_step) == (1, 8)
    rest = trainer("parts")
    rest.fit(resume=True)
    assert rest.history == whole.history
    assert rest.global_step == whole.global_step


@pytest.mark.parametrize(
    "settings", [{"val_every_steps": 3}, {"val_every_steps": 4}, {"val_every": 1}]
)
@pytest.mark.parametrize("batch", [1, 3, 4])
def test_any_validation_stops_after_the_batch_and_is_repeated(
    make_trainer: MakeTrainer, rows: Any, settings: dict[str, int], batch: int
) -> None:
    seen: list[int] = []

    def stop(trainer: Any, config: Any, writer: Any) -> None:
        seen.append(1)
        if len(seen) == 6 + batch:
            os.kill(os.getpid(), signal.SIGTERM)

    # A loader of torch draws from the global random generator at each pass.
    clean = DataLoader(TensorDataset(*rows), batch_size=5, shuffle=True)
    sets = ValidationSets(clean=clean, noisy=(2 * rows[0][:10], rows[1][:10]))

    def trainer(folder: str, **more: Any) -> Trainer:
        return make_trainer(
            val=sets,
            model=noisy_net(),
            max_iter=3,
            checkpoint_every=9,
            log_folder=folder,
            seed=3,
            **settings,
            **more,
        )

    whole, stopped = (
        trainer("whole"),
        trainer("parts", callbacks=[Callback("val_batch_end", callback=stop)]),
    )
    whole.fit()
    stopped.fit()
    assert len(seen) == 6 + batch
    assert stopped.stop_signal == "SIGTERM"
    assert stopped.global_step == 2 * settings.get("val_every_steps", 4)
    assert len(stopped.validations) == ("val_every_steps" in settings)
    rest = trainer("parts")
    rest.fit(resume=True)
    assert rest.history == whole.history
    assert rest.validations == whole.validations
    assert rest.global_step == whole.global_step


def handlers() -> list[Any]:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def raising(message: str) -> Callback:
    def fail(*_: Any) -> None:
        raise RuntimeError(message)

    return Callback("train_batch_end", callback=fail)


def test_handlers_are_put_back(make_trainer: MakeTrainer) -> None:
    before, within = handlers(), []
    look = Callback("train_start", callback=lambda t, c, w: within.append(handlers()))
    make_trainer(callbacks=[look]).fit()
    assert before not in within
    assert handlers() == before
    with pytest.raises(RuntimeError, match="mine"):
        make_trainer(callbacks=[raising("mine")]).fit()
    assert handlers() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_handler_of_a_user_is_left_alone(make_trainer: MakeTrainer, number: signal.Signals) -> None:
    got: list[int] = []
    before = signal.signal(number, lambda n, frame: got.append(n))
    try:
        send = Callback("train_epoch_end", callback=lambda t, c, w: os.kill(os.getpid(), number))
        trainer = make_trainer(callbacks=[send], max_iter=3)
        trainer.fit()
    finally:
        signal.signal(number, before)
    assert got == [number] * 3
    assert not trainer.interrupted
    assert len(trainer.history) == 3


def test_handler_that_is_set_during_the_fit_stays() -> None:
    def mine(number: int, frame: Any) -> None:
        pass

    before = signal.getsignal(signal.SIGTERM)
    try:
        with StopSignals():
            signal.signal(signal.SIGTERM, mine)
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_fit_in_another_thread(make_trainer: MakeTrainer) -> None:
    trainer, before = make_trainer(max_iter=3), handlers()
    thread = threading.Thread(target=trainer.fit)
    thread.start()
    thread.join()
    assert len(trainer.history) == 3
    assert handlers() == before
