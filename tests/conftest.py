"""Small parts that many tests are made of."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet

import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn
from torch.utils.data import dataloader

from perceptrain import FFNN, TrainConfig, Trainer
from perceptrain_core.engine.worker import START

from . import whole_run
from .forked import ForkServer

# How long an example takes says something of the machine, not of the code.
settings.register_profile("perceptrain", deadline=None)
settings.load_profile("perceptrain")

# Networks here are tiny: more threads would only wait for each other, also in new processes.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Arrange a run of all tests; hooks of this file itself would not see those of plugins."""
    config.pluginmanager.register(whole_run)


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


@pytest.fixture
def rows() -> tuple[Tensor, Tensor]:
    """Twenty rows of a smooth function: inputs (20, 2), labels (20, 1)."""
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
    return x, (x[:, :1] - x[:, 1:]).sin()


@pytest.fixture
def make_net() -> Callable[..., nn.Module]:
    """Make a network whose weights are always the same."""

    def make(*layers: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(2)
            return FFNN(layers or (2, 8, 1), nn.Tanh())

    return make


@pytest.fixture
def make_trainer(
    rows: tuple[Tensor, Tensor], make_net: Callable[..., nn.Module]
) -> Callable[..., Trainer]:
    """Make a silent trainer; whatever is not given is the simplest that works."""

    def make(
        loss_fn: Any = "mse",
        *,
        data: Any = rows,
        val: Any = None,
        test: Any = None,
        model: nn.Module | None = None,
        optimizer: Any = None,
        kind: type[Trainer] = Trainer,
        options: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Trainer:
        model = make_net() if model is None else model
        optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=0.01)
        plain = {"max_iter": 2, "batch_size": 5, "shuffle": False, "verbose": False}
        config = TrainConfig(**(plain | {"tracking_tool": "csv"} | settings))
        return kind(model, optimizer, config, loss_fn, data, val, test, **(options or {}))

    return make
