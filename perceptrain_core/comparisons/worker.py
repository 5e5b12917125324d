"""A process that trains one run after the other: requests on stdin, replies on stdout.

It ends with its parent: when stdin is closed during a run, the run stops as by SIGTERM. In a search
that prunes, a run reports its figure after each epoch and waits for the answer, so with one process
the same seed prunes the same runs.
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
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch

from perceptrain_core.callbacks import Callback, TrainerContext
from perceptrain_core.checkpoints.folder import list_checkpoints
from perceptrain_core.comparisons.jobs import read_state, write_state
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CheckpointError, PerceptrainError
from perceptrain_core.registry.messages import one_line, raised_in
from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.runs.run import Run
from perceptrain_core.trackers.base import Tracker


def main() -> None:
    """Serve requests until stdin is closed."""
    torch.set_num_threads(1)
    parent = _Parent()
    for line in iter(parent.requests.get, None):
        parent.busy.set()
        reply = _serve(json.loads(line), parent)
        parent.busy.clear()
        parent.send(reply)


class _Parent:
    """The process that asks for the runs."""

    def __init__(self) -> None:
        self._replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
        self.requests: SimpleQueue[str | None] = SimpleQueue()
        self.busy = threading.Event()
        threading.Thread(target=self._receive, daemon=True).start()

    def send(self, reply: dict[str, Any]) -> None:
        print(json.dumps(reply), file=self._replies, flush=True)

    def prunes(self, epoch: int, value: float) -> bool:
        """Report the figure of an epoch; return whether the run is to be pruned."""
        self.send({"epoch": epoch, "value": value})
        line = self.requests.get()
        if line is None:  # the parent has ended, and SIGTERM has arrived
            self.requests.put(None)
            return False
        return bool(json.loads(line)["prune"])

    def _receive(self) -> None:
        for line in sys.stdin:
            self.requests.put(line)
        if self.busy.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
        self.requests.put(None)


class _Pruned:
    """Reports a figure after each epoch that has it, and stops the run if it is to be pruned.

    Attributes:
        epoch: The epoch after which it was pruned, or 0.
    """

    def __init__(self, parent: _Parent, figure: str) -> None:
        self.parent, self.figure, self.epoch = parent, figure, 0

    def __call__(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        value = trainer.history[-1].get(self.figure)
        if value is not None and self.parent.prunes(trainer.current_epoch, value):
            self.epoch, trainer.stop_training = trainer.current_epoch, True


def _serve(request: dict[str, Any], parent: _Parent) -> dict[str, Any]:
    """Train a run, with everything that it prints in its log, and return its figures."""
    log = Path(request["log"])
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    try:
        return _train(request, parent)
    except Exception as error:
        traceback.print_exc()
        if isinstance(error, PerceptrainError):
            return {"error": " ".join(str(error).split())}
        return {"error": f"{one_line(error)}{raised_in(error)}"}
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _train(request: dict[str, Any], parent: _Parent) -> dict[str, Any]:
    start, folder, asked = time.perf_counter(), Path(request["folder"]), request["asked"]
    watch = _Pruned(parent, request["figure"] or "")
    run = _build(request, watch)
    if _has_started(folder, asked):
        try:
            run.train(resume=True)
        except CheckpointError as error:
            print(f"Started afresh. {error}")
            run = _build(request, watch)
            _train_afresh(run, folder, asked)
    else:
        _train_afresh(run, folder, asked)
    if run.trainer.stop_signal is not None:
        return {"stopped": True}
    result: dict[str, Any] = {"pruned": watch.epoch} if watch.epoch else {"figures": run.evaluate()}
    result["seconds"] = round(time.perf_counter() - start, 2)
    write_state(folder, {"asked": asked, **result})
    return result


def _build(request: dict[str, Any], watch: _Pruned) -> Run:
    path = Path(request["path"])
    run = build_run(read_run_file(path, request["overrides"]), path)
    if watch.figure:
        config = run.trainer.config
        run.trainer.config = replace(
            config, callbacks=[*config.callbacks, Callback("train_epoch_end", callback=watch)]
        )
    return run


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
