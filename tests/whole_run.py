"""What makes a run of all tests take less time, those of the plugins too."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from torch.utils.data import dataloader

from perceptrain_core.engine.worker import START

from .forked import ForkServer

PLUGINS = Path(__file__).parent.parent / "plugins"
started: set[Path] = set()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage: there is hardly any, and all the tests would be looked at for it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run slow tests first, or one would go on alone at the end.

    Each worker of ``--dist worksteal`` begins with an equal part of the list, in its order, so
    each part begins with the slow tests of some of the files.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = [item for item in items if not item.get_closest_marker("slow")]
    number = {path: n for n, path in enumerate(dict.fromkeys(item.path for item in slow))}
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    left = len(items)
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        part = left // (workers - worker)
        first = [item for item in slow if number[item.path] % workers == worker]
        rest = max(0, part - len(first))
        ordered += first + others[:rest]
        left = len(items) - len(ordered)
        del others[:rest]
    items[:] = ordered


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave what is imported by now out of garbage collections, which many tests ask for."""
    if item.path not in started:
        started.add(item.path)
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """Start processes that need not import torch."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def forked_workers(forks: ForkServer) -> Iterator[None]:
    """Fork the processes of runs in several; `real_workers` has them as users do."""
    from torch.distributed.elastic.multiprocessing.subprocess_handler import SubprocessHandler

    in_full = SubprocessHandler._popen

    def start(handler: Any, command: tuple[str, ...], env: dict[str, str]) -> Any:
        if forks.paused or START not in command:
            return in_full(handler, command, env)
        assert command[:4] == (sys.executable, "-P", "-c", START)
        return forks.start_worker(START, *command[4:], env=env)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SubprocessHandler, "_popen", start)
        yield


@pytest.fixture
def real_workers(forks: ForkServer) -> Iterator[None]:
    """Start the processes of runs in several as users do, even where they were forked before."""
    forks.paused = True
    yield
    forks.paused = False


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_disks() -> Iterator[None]:
    """Do not wait for disks: only a loss of power would show the difference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def loaders_with_workers() -> Iterator[WeakSet[Any]]:
    """Collect the iterators of torch's loaders that have worker processes."""
    seen: WeakSet[Any] = WeakSet()

    class Seen(dataloader._MultiProcessingDataLoaderIter):
        def __init__(self, *args: Any, **options: Any) -> None:
            seen.add(self)
            super().__init__(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataloader, "_MultiProcessingDataLoaderIter", Seen)
        # What a test drops before its end does not wait so long either.
        patch.setattr(dataloader._utils, "MP_STATUS_CHECK_INTERVAL", 0.2)
        yield seen


@pytest.fixture(autouse=True)
def _workers_end_with_the_test(loaders_with_workers: WeakSet[Any]) -> Iterator[None]:
    """Stop worker processes: in a reference cycle, garbage collection waits 5 seconds for each."""
    yield
    while loaders_with_workers:
        loaders_with_workers.pop()._shutdown_workers()


@pytest.fixture(scope="module", autouse=True)
def _plugins_fork_their_workers(request: pytest.FixtureRequest) -> None:
    """Fork processes for plugins, too: their tests run alone as well, and cannot ask for it."""
    if PLUGINS in request.path.parents:
        request.getfixturevalue("forked_workers")
