"""Several worker processes, each training one run at a time."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from perceptrain_core.comparisons.jobs import Job
from perceptrain_core.comparisons.pruning import Pruning

Reply: TypeAlias = dict[str, Any]
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: A worker computes with one thread: as many workers as cores use them all.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class Pool:
    """Trains runs in a fixed number of processes.

    Ctrl-C and SIGTERM stop the runs after their current step; a second signal kills them.

    Args:
        size: The number of processes, at least 1.
        folder: The folder of the comparison.

    Attributes:
        stop_signal: The number of the signal that stopped the runs, or ``None``.
    """

    def __init__(self, size: int, folder: Path) -> None:
        self.size, self.folder = size, folder
        self.stop_signal: int | None = None
        self._workers: list[_Worker] = []
        self._pruning: Pruning | None = None
        self._ready = selectors.DefaultSelector()

    def run(
        self,
        next_job: Callable[[], Job | None],
        finished: Callable[[Job, Reply], None],
        pruning: Pruning | None = None,
    ) -> None:
        """Train until all jobs are done, or a signal arrives.

        Args:
            next_job: Returns a job, or ``None`` if there is none now; asked again after each run.
            finished: Called with each job and its reply: ``figures`` and ``seconds``, ``pruned``
                and ``seconds``, or ``error``. It is not called for a run that a signal stopped.
            pruning: Which runs to prune, and by which figure.
        """
        self._pruning = pruning
        with self._signals():
            try:
                while self._assign(next_job):
                    for key, _ in self._ready.select(timeout=0.2):
                        self._receive(key.data, finished)
            finally:
                self._close()

    def _assign(self, next_job: Callable[[], Job | None]) -> bool:
        """Give jobs to the workers that have none; return whether any has one."""
        while self.stop_signal is None and (self._idle() or len(self._workers) < self.size):
            job = next_job()
            if job is None:
                break
            figure = None if self._pruning is None else self._pruning.figure
            (self._idle() or self._start()).send(job, self.folder, figure)
        return any(worker.job for worker in self._workers)

    def _idle(self) -> _Worker | None:
        return next((worker for worker in self._workers if worker.job is None), None)

    def _start(self) -> _Worker:
        worker = _Worker()
        self._workers.append(worker)
        self._ready.register(worker.output, selectors.EVENT_READ, worker)
        return worker

    def _receive(self, worker: _Worker, finished: Callable[[Job, Reply], None]) -> None:
        reply = worker.read()
        if reply is None:
            return
        if "epoch" in reply:
            worker.answer(self._prunes(worker.job, reply["epoch"], reply["value"]))
            return
        job, worker.job = worker.job, None
        if reply.pop("ended", False):
            self._ready.unregister(worker.output)
            self._workers.remove(worker)
            worker.close()
        ended = "figures" in reply or "pruned" in reply
        if job is not None and (ended or self.stop_signal is None):
            finished(job, reply)

    def _prunes(self, job: Job | None, epoch: int, value: float) -> bool:
        if self._pruning is None or job is None:
            return False
        return self._pruning.prunes(job, epoch, value)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._stop) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        again, self.stop_signal = self.stop_signal is not None, number
        for worker in self._workers:
            worker.process.send_signal(signal.SIGKILL if again else signal.SIGTERM)

    def _close(self) -> None:
        for worker in self._workers:
            worker.close()
        self._workers.clear()


class _Worker:
    """One process, and the job that it has."""

    def __init__(self) -> None:
        # A session of its own: Ctrl-C in the terminal reaches the parent only.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "perceptrain_core.comparisons.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | _ONE_THREAD,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.output = self.process.stdout
        self.job: Job | None = None
        self._received = b""

    def send(self, job: Job, folder: Path, figure: str | None) -> None:
        self.job = job
        request = {
            "path": str(job.path),
            "overrides": [*job.overrides, *folder_overrides(folder, job)],
            "folder": str(folder / job.name),
            "log": str(folder / "logs" / f"{job.name}.log"),
            "asked": job.asked,
            "figure": figure,
        }
        self._write(request)

    def answer(self, prunes: bool) -> None:
        """Answer the figure of an epoch, for which the run waits."""
        with suppress(BrokenPipeError):  # it has died, as the next reply says
            self._write({"prune": prunes})

    def _write(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def read(self) -> Reply | None:
        """Return the reply to the job, or how the process ended; ``None`` before either.

        A run that is pruned by its figures reports ``epoch`` and ``value`` before, and waits.
        """
        received = os.read(self.output.fileno(), 1 << 16)
        self._received += received
        if not received:
            code = self.process.wait()
            return {"ended": True, "error": f"The process ended {_ending(code)}."}
        if not self._received.endswith(b"\n"):
            return None
        reply, self._received = json.loads(self._received), b""
        return dict({"error": "The run was stopped."} if "stopped" in reply else reply)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.output.close()


def folder_overrides(folder: Path, job: Job) -> list[str]:
    """Return what lets a run write to its folder in the comparison."""
    root, name = json.dumps(str(folder.absolute())), json.dumps(job.name)
    own = ("train.create_subfolder_per_run=false", "train.resume=false")
    return [f"train.root_folder={root}", f"train.log_folder={name}", *own]


def _ending(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
