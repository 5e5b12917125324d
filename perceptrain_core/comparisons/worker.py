"""A process that trains one run after the other: requests on stdin, replies on stdout.

It ends with its parent: when stdin is closed during a run, the run stops as by SIGTERM.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch

from perceptrain_core.checkpoints.folder import list_checkpoints
from perceptrain_core.comparisons.jobs import read_state, write_state
from perceptrain_core.errors import CheckpointError, PerceptrainError
from perceptrain_core.registry.messages import one_line, raised_in
from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.runs.run import Run


def main() -> None:
    """Serve requests until stdin is closed."""
    torch.set_num_threads(1)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    requests: SimpleQueue[str | None] = SimpleQueue()
    busy = threading.Event()
    threading.Thread(target=_receive, args=(requests, busy), daemon=True).start()
    for line in iter(requests.get, None):
        busy.set()
        reply = _serve(json.loads(line))
        busy.clear()
        print(json.dumps(reply), file=replies, flush=True)


def _receive(requests: SimpleQueue[str | None], busy: threading.Event) -> None:
    for line in sys.stdin:
        requests.put(line)
    if busy.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
    requests.put(None)


def _serve(request: dict[str, Any]) -> dict[str, Any]:
    """Train a run, with everything that it prints in its log, and return its figures."""
    log = Path(request["log"])
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    try:
        return _train(request)
    except Exception as error:
        traceback.print_exc()
        if isinstance(error, PerceptrainError):
            return {"error": " ".join(str(error).split())}
        return {"error": f"{one_line(error)}{raised_in(error)}"}
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _train(request: dict[str, Any]) -> dict[str, Any]:
    start, folder, asked = time.perf_counter(), Path(request["folder"]), request["asked"]
    run = _build(request)
    if _has_started(folder, asked):
        try:
            run.train(resume=True)
        except CheckpointError as error:
            print(f"Started afresh. {error}")
            run = _build(request)
            _train_afresh(run, folder, asked)
    else:
        _train_afresh(run, folder, asked)
    if run.trainer.stop_signal is not None:
        return {"stopped": True}
    figures = run.evaluate()
    result = {"figures": figures, "seconds": round(time.perf_counter() - start, 2)}
    write_state(folder, {"asked": asked, **result})
    return result


def _build(request: dict[str, Any]) -> Run:
    path = Path(request["path"])
    return build_run(read_run_file(path, request["overrides"]), path)


def _has_started(folder: Path, asked: dict[str, Any]) -> bool:
    state = read_state(folder)
    return state is not None and state.get("asked") == asked and bool(list_checkpoints(folder))


def _train_afresh(run: Run, folder: Path, asked: dict[str, Any]) -> None:
    """Train in an empty folder: an unfinished run without a checkpoint has nothing to keep."""
    if folder.exists():
        shutil.rmtree(folder)
    write_state(folder, {"asked": asked})
    run.train()


if __name__ == "__main__":
    main()
