"""Write the checkpoints of a fit, on request while it continues."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

import torch.distributed as dist

from perceptrain_core.checkpoints.file import not_written, write_file
from perceptrain_core.checkpoints.folder import rotate
from perceptrain_core.checkpoints.kinds import SHARDED, remove, twin
from perceptrain_core.checkpoints.processes import Processes
from perceptrain_core.checkpoints.snapshot import snapshot
from perceptrain_core.checkpoints.state_tree import gathered, has_shards, share_of
from perceptrain_core.errors import CheckpointError


class CheckpointWriter:
    """Write checkpoints one at a time; leaving its ``with`` block waits for the last one.

    In the background, `write` returns as soon as it has copied the state, and a thread writes the
    copy to the disk. Before it copies another state it waits for the thread, so there is never
    more than one copy in memory.

    Args:
        background: Whether a thread writes; otherwise `write` does.
        format: ``"file"``, ``"sharded"``, or ``"auto"``: sharded if a tensor of the state is.
    """

    def __init__(self, background: bool, format: str = "auto") -> None:
        self._background, self._format = background, format
        self._thread: Thread | None = None
        self._failure: Exception | None = None
        self._group: Any = None

    def write(self, path: Path, state: dict[str, Any], keep: int = 0) -> Path:
        """Write a checkpoint, and then delete old ones; all processes call this.

        Args:
            path: The file; a sharded checkpoint has the suffix ``.dcp`` instead.
            state: The state, which may change after this call.
            keep: How many numbered checkpoints to keep, including this one; 0 keeps all.

        Returns:
            The path of the checkpoint.

        Raises:
            CheckpointError: This checkpoint or, in the background, the one before it could not be
                written, or old ones could not be deleted.
        """
        self.wait()
        rank, shards = Processes().rank, has_shards(state)
        if self._format == "sharded" or (self._format == "auto" and shards):
            path, state = path.with_suffix(SHARDED), share_of(state, rank)
            self._connect()
        else:
            state = gathered(state, rank) if shards else state
            if rank != 0:
                return path
        if not self._background:
            self._write(path, state, keep)
            return path
        try:
            state = snapshot(state)
        except Exception as error:  # e.g. for want of memory
            raise not_written(path, error) from error
        # Not a daemon: Python waits for it at its end, even after an error.
        self._thread = Thread(target=self._try, args=(path, state, keep), name="checkpoint")
        self._thread.start()
        return path

    def _connect(self) -> None:
        """Connect the processes for sharded checkpoints, beside their connection in training.

        A thread must not exchange anything through the group in which gradients travel; and NCCL
        exchanges tensors on GPUs alone.
        """
        if self._group is None and Processes().size > 1:
            self._group = dist.new_group(backend="gloo")

    def _try(self, path: Path, state: dict[str, Any], keep: int) -> None:
        try:
            self._write(path, state, keep)
        except Exception as error:
            self._failure = error

    def _write(self, path: Path, state: dict[str, Any], keep: int) -> None:
        if path.suffix != SHARDED:
            write_file(path, state)
            _tidy(path, keep)
            return
        # DCP takes long to import, and few runs need it.
        from perceptrain_core.checkpoints.sharded import write_sharded

        write_sharded(path, state, self._group)
        if Processes(self._group).rank == 0:
            _tidy(path, keep)

    def wait(self) -> None:
        """Wait until the latest checkpoint is on the disk.

        Raises:
            CheckpointError: It could not be written, or old ones could not be deleted.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait; after another error, a checkpoint that could not be written is added to it.

        Raises:
            CheckpointError: As `wait`, unless another error is raised already.
        """
        try:
            self.wait()
        except CheckpointError as failure:
            if error is None:
                raise
            error.add_note(str(failure))
        finally:
            self._disconnect()

    def _disconnect(self) -> None:
        group, self._group = self._group, None
        if group is not None:
            with suppress(Exception):  # another process has ended
                dist.destroy_process_group(group)


def _tidy(path: Path, keep: int) -> None:
    """Delete the same checkpoint of the other kind, from an earlier run, and old ones."""
    with suppress(OSError):
        remove(twin(path))
    rotate(path, keep)
