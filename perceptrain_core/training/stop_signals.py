"""Signals that stop a run after the step in which they arrive."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Record Ctrl-C (SIGINT) and SIGTERM instead of acting on them, while entered.

    The second signal acts as usual. Handlers that other code has set for Ctrl-C are left alone.
    Outside the main thread, where Python allows no handlers, nothing is recorded.

    Args:
        shared: Whether this is one of several processes, which have to stop at the same step:
            then `DistributedLossGuard` sets ``received`` in all of them.

    Attributes:
        caught: The name of the signal that this process received, or ``None``.
        received: The name of the signal that is to stop the run, or ``None``.
    """

    def __init__(self, shared: bool = False) -> None:
        self.caught: str | None = None
        self.received: str | None = None
        self._shared = shared
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Install the handlers."""
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if before in (signal.default_int_handler, signal.SIG_DFL):
                signal.signal(number, self._record)
                self._before[number] = before
        return self

    def __exit__(self, *error: object) -> None:
        """Restore the handlers."""
        while self._before:
            number, before = self._before.popitem()
            if signal.getsignal(number) == self._record:  # not replaced in the meantime
                signal.signal(number, before)

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.caught = signal.Signals(number).name
        if not self._shared:
            self.received = self.caught
        self.__exit__()
