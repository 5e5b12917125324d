"""Signals that ask a run to stop, answered at the end of the step that they come in."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """While it is entered, Ctrl-C (SIGINT) and SIGTERM are only taken down.

    The second one does what it always did. Handlers that somebody else has set for Ctrl-C are
    left alone, and outside of the main thread all are, for there Python allows no others.

    Args:
        shared: Whether this is one of several processes, which have to agree to stop: then somebody
            has to set ``received`` in all of them at the same step.

    Attributes:
        heard: The name of the signal that came to this process, or ``None``.
        received: The name of the signal that is to stop the run, or ``None``.
    """

    def __init__(self, shared: bool = False) -> None:
        self.heard: str | None = None
        self.received: str | None = None
        self._shared = shared
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Begin to listen."""
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if before in (signal.default_int_handler, signal.SIG_DFL):
                signal.signal(number, self._take_down)
                self._before[number] = before
        return self

    def __exit__(self, *error: object) -> None:
        """Put the handlers back."""
        while self._before:
            number, before = self._before.popitem()
            if signal.getsignal(number) == self._take_down:  # else somebody has set another since
                signal.signal(number, before)

    def _take_down(self, number: int, frame: FrameType | None) -> None:
        self.heard = signal.Signals(number).name
        if not self._shared:
            self.received = self.heard
        self.__exit__()
