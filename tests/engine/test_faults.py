"""A fault of one process ends all within seconds, with an error that names it."""

from __future__ import annotations

import importlib
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import TrainConfig, Trainer
from perceptrain.errors import DataError, LossContractError, TrainingError
from perceptrain_core.engine import make_engine
from perceptrain_core.engine.launch import run_in_processes
from perceptrain_core.engine.local_processes import LocalProcesses

pytestmark = pytest.mark.usefixtures("forked_workers")

# Less on a machine that does nothing else.
SECONDS = 15


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check that no process and no temporary file is left."""
    started: list[Any] = []
    start = LocalProcesses.start

    def recorded(self: LocalProcesses) -> None:
        start(self)
        started.extend(handler.proc for handler in self.subprocess_handlers.values())

    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(LocalProcesses, "start", recorded)
    yield
    assert all(process.poll() is not None for process in started)
    assert [*folder.glob("perceptrain-*")] == []


def hang() -> None:
    while True:
        time.sleep(1)


def fit(fault: Callable[[], Any], mark: Path, nprocs: int = 2, **settings: Any) -> float:
    """Train until the second process has a fault; return the seconds since then."""

    def loss_fn(batch: Any, model: nn.Module) -> Any:
        loss = model(batch[0]).square().mean()
        calls.append(1)
        if os.environ["RANK"] == "1" and len(calls) == 3:
            mark.write_text(str(time.time()))
            loss = fault() or loss
        return loss, {}

    calls: list[int] = []
    plain = {"max_iter": 4, "batch_size": 2, "verbose": False, "tracking_tool": "none"}
    config = TrainConfig(**(plain | settings), nprocs=nprocs)
    try:
        Trainer(nn.Linear(2, 1), "adam", config, loss_fn, torch.ones(12, 2)).fit()
    finally:
        seconds = time.time() - float(mark.read_text())
        print(f"reported after {seconds:.2f} s")
        assert seconds < SECONDS


def raise_error() -> None:
    raise DataError("bad data")


FAULTS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "raises": (raise_error, DataError, "^bad data"),
    "killed": (
        lambda: os.kill(os.getpid(), signal.SIGKILL),
        TrainingError,
        r"^Process 1 was killed by SIGKILL, usually because memory ran out",
    ),
    "terminated": (
        lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL) and signal.raise_signal(15),
        TrainingError,
        r"^Process 1 was killed by SIGTERM, and left",
    ),
    "exits": (lambda: os._exit(0), TrainingError, "^Process 1 ended with exit code 0 before"),
    "leaves": (lambda: sys.exit(3), TrainingError, r"^Process 1 left by sys.exit\(3\)"),
    "no graph": (lambda: torch.ones(()), LossContractError, "of process 1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_the_process(name: str, tmp_path: Path) -> None:
    fault, kind, message = FAULTS[name]
    with pytest.raises(kind, match=message) as error:
        fit(fault, tmp_path / "mark")
    if name == "raises":
        (note,) = error.value.__notes__
        assert note.startswith("In process 1:\n")
        lines = [line.strip() for line in note.splitlines()]
        assert "loss = fault() or loss" in lines
        assert lines[-1] == 'raise DataError("bad data")'
        assert len(lines) < 8


@pytest.mark.slow
def test_a_process_that_hangs_is_named_with_those_that_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalProcesses.close, "__defaults__", (None, 1))  # then it is killed
    with pytest.raises(TrainingError) as error:
        fit(hang, tmp_path / "mark", nprocs=3, process_timeout=2)
    assert re.match(
        r"No answer from process 1 within 2 s \(waiting: process 0 in (.*); process 2 in \1\)",
        str(error.value),
    )
    assert "process_timeout" in str(error.value)


@pytest.mark.slow
def test_several_processes_that_hang_are_named() -> None:
    def hanging() -> None:
        engine = make_engine(timeout=1)
        if engine.rank:
            hang()
        engine.any(True)

    with pytest.raises(TrainingError) as error:
        run_in_processes(hanging, 3)
    assert str(error.value).startswith("No answer from processes 1, 2 within 1 s (waiting: ")
    assert "They hang, or work for longer" in str(error.value)


@pytest.mark.slow
def test_processes_that_call_different_exchanges_are_told_which() -> None:
    def mismatched() -> None:
        engine = make_engine(timeout=2)
        if engine.rank:
            engine.broadcast(1, src=1)
        else:
            engine.any(True)

    with pytest.raises(
        TrainingError,
        match=r"wait for each other: process 0 in all_reduce; process 1 in broadcast",
    ):
        run_in_processes(mismatched, 2)


@pytest.mark.slow
def test_a_process_that_does_not_come_is_named() -> None:
    def late() -> None:
        if os.environ["RANK"] == "1":
            hang()
        make_engine(timeout=2)

    with pytest.raises(TrainingError, match=r"could not be connected.*did not connect: 1\."):
        run_in_processes(late, 2)


class Unknown:
    """Cannot be unpickled where it is needed."""

    def __reduce__(self) -> Any:
        return importlib.import_module, ("no_such_module_there",)


def test_a_process_that_fails_to_import_is_named() -> None:
    unknown = Unknown()
    with pytest.raises(ModuleNotFoundError, match="no_such_module_there") as error:
        run_in_processes(lambda: unknown, 2)
    assert error.value.__notes__[0].startswith("In process ")


def test_processes_listen_on_the_loopback_interface_only() -> None:
    def listening(parent: int) -> list[str]:
        engine = make_engine()
        engine.any(True)
        own = [address for pid in (os.getpid(), parent) for address in addresses(pid)]
        return [address for each in engine.gather(own) for address in each]

    def addresses(pid: int) -> list[str]:
        files = []
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed in the meantime
                files.append(os.readlink(file))
        found = []
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == "0A" and f"socket:[{rest[5]}]" in files:
                    found.append(local.partition(":")[0])
        return found

    found = run_in_processes(listening, 2, os.getpid())
    assert len(found) >= 4  # the store of the parent, seen twice, and the two processes
    assert set(found) == {"0100007F"}


@pytest.mark.slow
def test_processes_killed_at_random_moments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From their start, before they are connected, to their training."""
    seed = int.from_bytes(os.urandom(4))
    draw = random.Random(seed)
    run = LocalProcesses.run

    def interfered(self: LocalProcesses) -> None:
        def kill() -> None:
            killed.append(time.monotonic())
            os.kill(self.pids()[rank], signal.SIGKILL)

        timer = threading.Timer(seconds, kill)
        timer.start()
        run(self)
        timer.cancel()
        timer.join()

    def loss_fn(batch: Any, model: nn.Module) -> Any:
        return model(batch[0]).square().mean(), {}

    monkeypatch.setattr(LocalProcesses, "run", interfered)
    for start, end in (0.0, 0.1), (0.1, 0.3), (0.3, 1.0):
        seconds, rank, killed = draw.uniform(start, end), draw.randrange(2), list[float]()
        config = TrainConfig(
            max_iter=10**6, nprocs=2, verbose=False, tracking_tool="none", batch_size=2
        )
        trainer = Trainer(nn.Linear(2, 1), "adam", config, loss_fn, torch.ones(12, 2))
        with pytest.raises(TrainingError, match=f"^Process {rank} was killed by SIGKILL"):
            trainer.fit()
        assert time.monotonic() - killed[0] < SECONDS, seed
