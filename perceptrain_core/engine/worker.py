"""One of the processes that `run_in_processes` starts, with the code in `START`."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cloudpickle
import torch

from perceptrain_core.engine.error_notes import error_note
from perceptrain_core.engine.lost_processes import is_lost, name_the_lost
from perceptrain_core.engine.process_group import leave_group
from perceptrain_core.errors import TrainingError
from perceptrain_core.registry.messages import keep_place

# A worker leaves a file: it is done, it had an error, or it lost the connection to another one.
TASK, DONE, ERROR, LOST = "task.pkl", "done-", "error-", "lost-"

# What `python -P -c` runs. The search path of the parent comes before anything is imported that
# a file in the working directory could hide.
START = f"""
import pickle, sys
with open(sys.argv[1] + "/{TASK}", "rb") as file:
    sys.path[:] = pickle.load(file)
from perceptrain_core.engine.worker import run
run()
"""


def run() -> None:
    """Work on the task in the folder named on the command line, and exit."""
    folder, parent = Path(sys.argv[1]), int(sys.argv[2])
    rank = int(os.environ["RANK"])
    threading.Thread(target=_end_with, args=[parent, folder], daemon=True).start()
    exit_code = _work(folder, rank)
    leave_group()
    sys.stdout.flush()
    sys.stderr.flush()
    # The result is written. In an orderly shutdown, threads of torch that still wait for other
    # processes would sometimes abort this one.
    os._exit(exit_code)


def _work(folder: Path, rank: int) -> int:
    """Run the task, leave its result or error in the folder, and return the exit code."""
    try:
        with (folder / TASK).open("rb") as file:
            cloudpickle.load(file)  # the path, which is set
            torch.set_num_threads(cloudpickle.load(file))
            cloudpickle.load(file).apply()
            function, args = cloudpickle.load(file)
        result = function(*args)
        _leave(folder / f"{DONE}{rank}", None if rank else result)
    except BaseException as error:
        reported = _reported(error, rank)
        keep_place(reported)
        reported.add_note(error_note(reported, rank))
        _leave(folder / f"{LOST if is_lost(reported) else ERROR}{rank}", _portable(reported))
        return 1
    return 0


def _reported(error: BaseException, rank: int) -> BaseException:
    if isinstance(error, SystemExit):
        called = TrainingError(f"Process {rank} left by sys.exit({error.code!r}) before the end.")
        return called.with_traceback(error.__traceback__)
    return name_the_lost(error)


def _end_with(parent: int, folder: Path) -> None:
    """End this process when its parent has ended, and remove what a killed parent leaves."""
    while os.getppid() == parent:
        time.sleep(1)
    shutil.rmtree(folder, ignore_errors=True)
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
