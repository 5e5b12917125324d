"""Write the checkpoints of a fit, on request while it continues."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

from perceptrain_core.checkpoints.file import not_written, write_file
from perceptrain_core.checkpoints.folder import rotate
from perceptrain_core.checkpoints.snapshot import snapshot
from perceptrain_core.errors import CheckpointError


class CheckpointWriter:
    """Write checkpoints one at a time; leaving its ``with`` block waits for the last one.

    In the background, `write` returns as soon as it has copied the state, and a thread writes the
    copy to the disk. Before it copies another state it waits for the thread, so there is never
    more than one copy in memory.

    Args:
        background: Whether a thread writes; otherwise `write` does.
    """

    def __init__(self, background: bool) -> None:
        self._background = background
        self._thread: Thread | None = None
        self._failure: Exception | None = None

    def write(self, path: Path, state: dict[str, Any], keep: int = 0) -> None:
        """Write a checkpoint, and then delete old ones.

        Args:
            path: The file.
            state: The state, which may change after this call.
            keep: How many numbered checkpoints to keep, including this one; 0 keeps all.

        Raises:
            CheckpointError: This checkpoint or, in the background, the one before it could not be
                written, or old ones could not be deleted.
        """
        self.wait()
        if not self._background:
            _write(path, state, keep)
            return
        try:
            state = snapshot(state)
        except Exception as error:  # e.g. for want of memory
            raise not_written(path, error) from error
        # Not a daemon: Python waits for it at its end, even after an error.
        self._thread = Thread(target=self._write, args=(path, state, keep), name="checkpoint")
        self._thread.start()

    def _write(self, path: Path, state: dict[str, Any], keep: int) -> None:
        try:
            _write(path, state, keep)
        except Exception as error:
            self._failure = error

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


def _write(path: Path, state: dict[str, Any], keep: int) -> None:
    write_file(path, state)
    rotate(path, keep)
