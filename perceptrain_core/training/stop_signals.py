"""Signals, and other requests, that stop a run after the current step."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

#: The names of the signals.
SIGNALS = ("SIGINT", "SIGTERM")


class StopSignals:
    """Record Ctrl-C (SIGINT) and SIGTERM instead of acting on them, while entered.

    The second signal acts as usual. Handlers that other code has set for Ctrl-C are left alone.
    Outside the main thread, where Python allows no handlers, nothing is recorded.

    Args:
        shared: Whether this is one of several processes, which have to stop at the same step:
            then `DistributedLossGuard` sets ``received`` in all of them.

    Attributes:
        caught: The name of the signal or request that reached this process, or ``None``.
        received: The name of the one that is to stop the run, or ``None``.
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
        for number in map(signal.Signals.__getitem__, SIGNALS):
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

    def request(self, reason: str) -> None:
        """Stop the run as a signal does; several processes stop after the next step.

        Args:
            reason: The name of a signal, or of a setting.
        """
        self.caught = self.caught or reason
        if not self._shared:
            self.received = self.caught

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.request(signal.Signals(number).name)
        self.__exit__()
