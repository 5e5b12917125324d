"""One of the processes that `run_in_processes` starts: ``python -m ... FOLDER PARENT``."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import cloudpickle
import torch

from perceptrain_core.engine.distributed import leave_group
from perceptrain_core.errors import TrainingError

TASK, RESULT, ERROR = "task.pkl", "result.pkl", "error-"


def main(folder: Path, parent: int) -> int:
    """Do the task of a folder, and leave there what came of it.

    Args:
        folder: Where the task is.
        parent: The process that started this one.

    Returns:
        The exit code.
    """
    rank = os.environ["RANK"]
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()
    try:
        with (folder / TASK).open("rb") as file:
            sys.path[:], threads = cloudpickle.load(file)
            torch.set_num_threads(threads)
            function, args = cloudpickle.load(file)
        result = function(*args)
        if rank == "0":
            _leave(folder / RESULT, result)
    except BaseException as error:
        error.add_note(f"In process {rank}:\n{traceback.format_exc()}")
        _leave(folder / f"{ERROR}{rank}", _portable(error))
        return 1
    return 0


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone, which may have been killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _portable(error: BaseException) -> BaseException:
    """Give an error that another process can read: the same, where that can be."""
    try:
        cloudpickle.loads(cloudpickle.dumps(error))
    except Exception:
        told = TrainingError(f"{type(error).__name__}: {error}")
        told.__notes__ = error.__notes__
        return told
    return error


def _leave(path: Path, value: Any) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(cloudpickle.dumps(value))
    temporary.rename(path)


if __name__ == "__main__":
    exit_code = main(Path(sys.argv[1]), int(sys.argv[2]))
    leave_group()
    sys.stdout.flush()
    sys.stderr.flush()
    # All is done and written. Were Python to take torch down in order, its threads that still wait
    # for the other processes would abort this one now and then.
    os._exit(exit_code)
