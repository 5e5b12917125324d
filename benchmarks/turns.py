"""Loops that take turns in one process, so that a slow phase of the machine affects all of them.

Each loop runs in a thread of its own, as in a script: set up once, then epoch after epoch. It gets
its batches from a `Feed`, which holds it back at the start of each epoch until it has the turn
again. A turn is an epoch with all that a loop does between two epochs. Only one thread runs at any
time; the others wait for a lock, which takes no processor time. Turns are measured in processor
time, to which other programs on the machine add little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Semaphore, Thread
from time import perf_counter, process_time
from typing import Any

import torch

#: Epochs that a loop is asked for: more than it will ever get.
ENDLESS = 10**6


class TurnsOver(BaseException):
    """Ends a loop; frameworks pass it on, as it is not an `Exception`."""


class Seat:
    """One loop with its turns.

    Args:
        name: The loop's name.
        run: The loop; it calls `next_turn` at the start of each epoch.

    Attributes:
        seconds: The processor time of each turn, without the first, in which it is set up.
        error: What ended it, unless it was the end of the turns.
    """

    def __init__(self, name: str, run: Callable[[Seat], object]) -> None:
        self.name, self.seconds = name, list[float]()
        self.error: Exception | None = None
        self.is_over = False
        self._run, self._start, self._closing = run, 0.0, False
        self._go, self._done = Semaphore(0), Semaphore(0)
        self._thread = Thread(target=self._live, name=name, daemon=True)
        self._thread.start()

    def take_turn(self) -> None:
        """Let the loop run until its next epoch begins."""
        if not self.is_over:
            self._go.release()
            self._done.acquire()

    def close(self) -> None:
        """End the loop."""
        self._closing = True
        self.take_turn()
        self._thread.join()

    def next_turn(self) -> None:
        """Wait for the next turn; called by the loop."""
        if self._start:
            self.seconds.append(process_time() - self._start)
        self._done.release()
        self._go.acquire()
        if self._closing:
            raise TurnsOver
        self._start = process_time()

    def _live(self) -> None:
        torch.set_num_threads(1)  # of this thread; a second slows down networks this small
        self._go.acquire()
        try:
            if not self._closing:
                self._run(self)
        except TurnsOver:
            pass
        except Exception as error:
            self.error = error
        finally:
            self.is_over = True
            self._done.release()


class Feed:
    """The batches of an epoch, as a loader.

    Args:
        batches: The batches.
        start_epoch: Called at the start of each epoch.
    """

    def __init__(self, batches: Sequence[Any], start_epoch: Callable[[], None]) -> None:
        self.batches, self.start_epoch = batches, start_epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        self.start_epoch()
        yield from self.batches


def take_turns(
    runs: Mapping[str, Callable[[Seat], object]], seconds: float, warm_up: int = 2, least: int = 4
) -> list[Seat]:
    """Run loops in turns for some time, and return them with the times of their turns.

    Args:
        runs: The loops by name.
        seconds: How long, without the first turns, in which they are set up and compiled.
        warm_up: Turns of each loop that are not counted.
        least: Turns of each loop, however long they take.
    """
    seats = [Seat(name, run) for name, run in runs.items()]
    try:
        for seat in seats:
            for _ in range(warm_up + 1):
                seat.take_turn()
            seat.seconds.clear()
        end, rounds = perf_counter() + seconds, 0
        while rounds < least or perf_counter() < end:
            rounds += 1
            order = seats if rounds % 2 else seats[::-1]
            for seat in order:
                seat.take_turn()
    finally:
        for seat in seats:
            seat.close()
    return seats
