"""Processes that are killed while they save: the newest checkpoint is whole, and resumes."""

from __future__ import annotations

import os
import random
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from perceptrain_core.checkpoints.folder import list_checkpoints, read_newest
from perceptrain_core.checkpoints.sharded import read_sharded

from ..forked import ForkedProcess, ForkServer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks and kills as POSIX does")

SCRIPT = str(Path(__file__).with_name("saving_process.py"))
LAST = 10**6

Start = Callable[..., list[ForkedProcess]]


@pytest.fixture
def start(forks: ForkServer, tmp_path: Path) -> Any:
    """Start connected processes that save checkpoints."""
    with ExitStack() as started:

        def begin(size: int, background: bool, last: int = LAST) -> list[ForkedProcess]:
            store = tmp_path / f"store-{time.monotonic_ns()}"
            how = "background" if background else "at once"
            args = (SCRIPT, str(tmp_path / "run"), str(store), how, str(last))
            environ = os.environ | {"WORLD_SIZE": str(size), "OMP_NUM_THREADS": "1"}
            return [
                started.enter_context(forks.start(*args, env=environ | {"RANK": str(rank)}))
                for rank in range(size)
            ]

        yield begin


def newest(folder: Path) -> tuple[int, int]:
    """Return the epoch of the newest checkpoint and who wrote it, which must be whole."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_newest(folder)
    assert found is not None
    path, state = found
    assert path.name == f"checkpoint_epoch_{state['epoch']:06d}.dcp"
    assert (state["model"]["weights"] == state["epoch"]).all()
    return state["epoch"], state["size"]


def wait_to_kill(
    processes: list[ForkedProcess], folder: Path, chance: random.Random, writing: bool
) -> None:
    """Wait for some epochs, and then until something is being written, or for a while."""
    for _ in range(chance.randrange(2, 6)):
        line = processes[0].stdout.readline()
        assert line, processes[0].stderr.read()
    if not writing:
        time.sleep(chance.uniform(0, 0.05))
        return
    deadline = time.monotonic() + 10
    while not [*folder.glob(".checkpoint*")] and time.monotonic() < deadline:
        pass


def killed_lives(start: Start, folder: Path, sizes: list[int], background: bool) -> None:
    """Kill one of the processes in a life, and in the next one all, while they save."""
    seed = int.from_bytes(os.urandom(4))
    chance = random.Random(seed)
    epoch = 0
    for life, size in enumerate(sizes):
        processes = start(size, background)
        everyone = life % 2 == 1
        wait_to_kill(processes, folder, chance, writing=everyone)
        victims = processes if everyone else [chance.choice(processes)]
        for process in victims:
            process.kill()
        for process in processes:
            assert process.wait(60) != 0, seed
        before, epoch = epoch, newest(folder)[0]
        assert epoch > before, seed
    # The last life is left alone, and clears what the others left.
    for process in start(2, background, epoch + 2):
        assert process.wait(60) == 0, (seed, process.stderr.read())
    assert newest(folder) == (epoch + 2, 2)
    assert len(list_checkpoints(folder)) == 2
    assert len([*folder.iterdir()]) == 2, seed


@pytest.mark.slow
@pytest.mark.parametrize(("background", "sizes"), [(False, [2, 3, 1, 2]), (True, [1, 2, 3, 2])])
def test_killed_processes(start: Start, tmp_path: Path, background: bool, sizes: list[int]) -> None:
    """A process or all, in lives with other numbers of processes."""
    killed_lives(start, tmp_path / "run", sizes, background)


@pytest.mark.slow
def test_parts_of_a_resumed_run_are_those_that_were_saved(start: Start, tmp_path: Path) -> None:
    for size, last in ((3, 2), (1, 3), (2, 4)):
        for process in start(size, background=size == 2, last=last):
            assert process.wait(60) == 0, process.stderr.read()
        state = read_sharded(list_checkpoints(tmp_path / "run")[0])
        assert (state["epoch"], state["size"]) == (last, size)
