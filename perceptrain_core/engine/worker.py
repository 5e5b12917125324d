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
from perceptrain_core.registry.messages import keep_place

TASK, RESULT, ERROR = "task.pkl", "result.pkl", "error-"


def main(folder: Path, parent: int) -> int:
    """Run the task in a folder, and write its result or error there.

    Args:
        folder: The folder of the task.
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
        keep_place(error)
        error.add_note(f"In process {rank}:\n{traceback.format_exc()}")
        _leave(folder / f"{ERROR}{rank}", _portable(error))
        return 1
    return 0


def _end_with(parent: int) -> None:
    """End this process when its parent has ended, even if the parent was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _portable(error: BaseException) -> BaseException:
    """Return an error that another process can unpickle: the same one if possible."""
    try:
        cloudpickle.loads(cloudpickle.dumps(error))
    except Exception:
        portable = TrainingError(f"{type(error).__name__}: {error}")
        portable.__notes__ = error.__notes__
        keep_place(portable.with_traceback(error.__traceback__))
        return portable
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
    # The result is written. In an orderly shutdown, threads of torch that still wait for other
    # processes would sometimes abort this one.
    os._exit(exit_code)
