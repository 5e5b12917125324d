"""Run a function in several processes, started from a script or a notebook."""

from __future__ import annotations

import io
import logging
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle
import torch
from torch.distributed.elastic.multiprocessing import SignalException

from perceptrain_core.engine.local_processes import LocalProcesses
from perceptrain_core.engine.mapped_pickle import MappedPickler
from perceptrain_core.engine.process_settings import ProcessSettings
from perceptrain_core.engine.worker import DONE, ERROR, LOST, TASK
from perceptrain_core.errors import TrainingError
from perceptrain_core.registry.references import loaded_files

Result = TypeVar("Result")

# What the launcher logs: failures, which are raised as errors, and each of its steps.
_LOGS = "torch.distributed.elastic"
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


def run_in_processes(function: Callable[..., Result], nprocs: int, *args: Any) -> Result:
    """Call a function in new processes that ``torch.distributed`` connects.

    Each process gets a copy of the function and its arguments, including lambdas and anything
    defined in a script or notebook. The script is not run again, so it needs no guard. The
    environment and signal handlers of this process stay unchanged. The processes share the
    threads that torch uses here, have its settings (see `ProcessSettings`), and end when this
    process ends. They listen on the loopback interface only, unless ``GLOO_SOCKET_IFNAME`` names
    another.

    Args:
        function: Called in each process.
        nprocs: The number of processes.
        args: Its arguments.

    Returns:
        The result of the first process.

    Raises:
        TrainingError: An argument cannot be pickled, or a process died without an error, or
            hangs.
        KeyboardInterrupt: Ctrl-C was pressed, and the function did not return.
        Exception: The first error that the function raised in any process.
    """
    with tempfile.TemporaryDirectory(prefix="perceptrain-") as name:
        folder = Path(name)
        threads = max(1, torch.get_num_threads() // nprocs)
        settings = ProcessSettings.of_this_process()
        (folder / TASK).write_bytes(_pickled(sys.path, threads, settings, (function, args)))
        result = folder / f"{DONE}0"
        processes = LocalProcesses(folder, nprocs)
        try:
            with _unchanged():
                processes.start()
                processes.run()
        except SignalException as error:
            if not result.exists():
                raise _as_python_does(error.sigval) from None
        else:
            _raise_first_error(folder, processes.ended)
        return cloudpickle.loads(result.read_bytes())  # type: ignore[no-any-return]


def _pickled(*parts: Any) -> bytes:
    by_value = [*loaded_files()]
    for module in by_value:
        cloudpickle.register_pickle_by_value(module)
    file = io.BytesIO()
    try:
        for part in parts:  # the search path comes first: the others need it to be loaded
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
    """Restore the handlers that the launcher changes, and silence its log of failures."""
    main = threading.current_thread() is threading.main_thread()
    handlers = {n: signal.getsignal(n) for s in _SIGNALS if (n := getattr(signal, s, None))}
    names = logging.root.manager.loggerDict
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


def _raise_first_error(folder: Path, ended: dict[int, int]) -> None:
    """Raise the error that caused the others, if there is one.

    That is the earliest error of a process, otherwise the death of one, otherwise a lost
    connection.
    """
    for error in _left(folder, ERROR):
        raise error
    for rank, code in ended.items():
        if not any((folder / f"{kind}{rank}").exists() for kind in (DONE, LOST)):
            raise TrainingError(_death(rank, code))
    for error in _left(folder, LOST):
        raise error


def _left(folder: Path, kind: str) -> Iterator[BaseException]:
    for path in sorted(folder.glob(f"{kind}*"), key=lambda path: path.stat().st_mtime_ns):
        yield cloudpickle.loads(path.read_bytes())


def _death(rank: int, code: int) -> str:
    if code >= 0:
        return (
            f"Process {rank} ended with exit code {code} before it was done, and left no error; "
            "what it printed may say more."
        )
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    memory = ", usually because memory ran out" if name == "SIGKILL" else ""
    return f"Process {rank} was killed by {name}{memory}, and left no error."


def _as_python_does(number: int) -> BaseException:
    if number == signal.SIGINT:
        return KeyboardInterrupt()
    return SystemExit(128 + number)
