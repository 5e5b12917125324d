"""Run a function in several processes, started from a script or a notebook."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle
import torch
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from perceptrain_core.engine.mapped_pickle import MappedPickler
from perceptrain_core.engine.worker import ERROR, RESULT, TASK
from perceptrain_core.errors import TrainingError
from perceptrain_core.registry.references import loaded_files

Result = TypeVar("Result")

# What the launcher logs: failures, which are raised as errors, and each of its steps.
_LOGS = ("torch.distributed.elastic", "torchelastic-events")
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


def run_in_processes(function: Callable[..., Result], nprocs: int, *args: Any) -> Result:
    """Call a function in new processes that ``torch.distributed`` connects.

    Each process gets a copy of the function and its arguments, including lambdas and anything
    defined in a script or notebook. The script is not run again, so it needs no guard. The
    environment and signal handlers of this process stay unchanged. The processes share the
    threads that torch uses here, and end when this process ends.

    Args:
        function: Called in each process.
        nprocs: The number of processes.
        args: Its arguments.

    Returns:
        The result of the first process.

    Raises:
        TrainingError: An argument cannot be pickled, or a process died without an error.
        KeyboardInterrupt: Ctrl-C was pressed, and the function did not return.
        Exception: The first error that the function raised in any process.
    """
    with tempfile.TemporaryDirectory(prefix="perceptrain-") as name:
        folder = Path(name)
        threads = max(1, torch.get_num_threads() // nprocs)
        (folder / TASK).write_bytes(_pickled((sys.path, threads), (function, args)))
        try:
            with _unchanged():
                elastic_launch(_config(nprocs), sys.executable)(
                    *("-m", "perceptrain_core.engine.worker", str(folder), str(os.getpid()))
                )
        except ChildFailedError as error:
            raise _first_error(folder, error) from None
        except SignalException as error:
            if not (folder / RESULT).exists():
                raise _as_python_does(error.sigval) from None
        return cloudpickle.loads((folder / RESULT).read_bytes())  # type: ignore[no-any-return]


def _config(nprocs: int) -> LaunchConfig:
    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=nprocs,
        max_restarts=0,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",  # any port that is free
        local_addr="localhost",
    )


def _pickled(*parts: Any) -> bytes:
    by_value = [*loaded_files()]
    for module in by_value:
        cloudpickle.register_pickle_by_value(module)
    file = io.BytesIO()
    try:
        for part in parts:  # reading the second requires the path set by the first
            MappedPickler(file).dump(part)
    except Exception as error:
        raise TrainingError(
            f"This cannot be copied to other processes: {error}. Loaders, losses and callbacks "
            "must not hold open files, generators, locks or connections; or start the script "
            "with torchrun, where each process makes its own."
        ) from error
    finally:
        for module in by_value:
            cloudpickle.unregister_pickle_by_value(module)
    return file.getvalue()


@contextmanager
def _unchanged() -> Iterator[None]:
    """Restore what the launcher changes in this process, and silence its log of failures."""
    environment = dict(os.environ)
    main = threading.current_thread() is threading.main_thread()
    handlers = {n: signal.getsignal(n) for s in _SIGNALS if (n := getattr(signal, s, None))}
    names = [*logging.root.manager.loggerDict, "torchelastic-events-null"]
    logs = [logging.getLogger(name) for name in names if name.startswith(_LOGS)]
    disabled = [log.disabled for log in logs]
    for log in logs:
        log.disabled = True
    try:
        yield
    finally:
        for log, before in zip(logs, disabled, strict=True):
            log.disabled = before
        for number, handler in handlers.items() if main else ():
            signal.signal(number, handler)
        os.environ.clear()
        os.environ.update(environment)


def _first_error(folder: Path, failed: ChildFailedError) -> BaseException:
    """Return the earliest error; those of the other processes follow from it."""
    left = sorted(folder.glob(f"{ERROR}*"), key=lambda path: path.stat().st_mtime_ns)
    for path in left:
        try:
            return cloudpickle.loads(path.read_bytes())  # type: ignore[no-any-return]
        except Exception:
            continue
    rank, failure = failed.get_first_failure()
    return TrainingError(
        f"Process {rank} ended with exit code {failure.exitcode} and left no error; it may have "
        "been killed, for want of memory as a rule."
    )


def _as_python_does(number: int) -> BaseException:
    if number == signal.SIGINT:
        return KeyboardInterrupt()
    return SystemExit(128 + number)
