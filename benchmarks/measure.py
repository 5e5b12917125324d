"""Time per step: of all loops on a work, and how it grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from statistics import quantiles
from typing import Any

from benchmarks.loops import HAND, PERCEPTRAIN, Loop, NotApplicable, perceptrain
from benchmarks.turns import ENDLESS, Feed, Seat, take_turns
from benchmarks.works import Work, classes, oscillator, regression

#: A loop on a work: ``us`` per step, and the quartiles of its ``ratio`` to the loop by hand; or
#: only why it was ``skipped``.
Row = dict[str, Any]

#: Turns have at least this many steps.
_STEPS = 10


def compare(work: Work, loops: dict[str, Loop], seconds: float) -> dict[str, Row]:
    """Let loops take turns, and return a row for each; the first is what the others are divided by.

    Args:
        work: What they train.
        loops: The loops by name.
        seconds: The time for all.
    """
    epochs = -(-_STEPS // len(work.batches))
    runs = {name: partial(_run, loop, work, epochs) for name, loop in loops.items()}
    seats = take_turns(runs, seconds)
    return {seat.name: _row(seat, seats[0], epochs * len(work.batches)) for seat in seats}


def _run(loop: Loop, work: Work, epochs: int, seat: Seat) -> None:
    """Run a loop whose turns are some epochs."""
    count = 0

    def start_epoch() -> None:
        nonlocal count
        if count % epochs == 0:
            seat.next_turn()
        count += 1

    loop(work, Feed(work.batches, start_epoch), ENDLESS)


def _row(seat: Seat, first: Seat, steps: int) -> Row:
    if seat.error is not None:
        text = str(seat.error).partition("\n")[0]
        kind = "" if isinstance(seat.error, NotApplicable) else f"{type(seat.error).__name__}: "
        return {"skipped": f"{kind}{text}"}
    ratios = [own / other for own, other in zip(seat.seconds, first.seconds, strict=True)]
    fast, *_ = quantiles(seat.seconds)
    return {
        "us": round(1e6 * fast / steps, 1),
        "ratio": [round(quartile, 3) for quartile in quantiles(ratios)],
    }


#: What grows, and the loops and works by its values.
Growth = Iterator[tuple[str, int, Work, dict[str, Loop]]]


def growth(compiles: bool) -> Growth:
    """Yield what grows: its name and value, the work, and the loops to compare.

    Args:
        compiles: Compare with captured steps, too.
    """
    names = ["Perceptrain", *(["Perceptrain, compile=True"] if compiles else [])]
    loops = {"by hand": HAND["by hand"], **{name: PERCEPTRAIN[name] for name in names}}
    series: list[tuple[str, Callable[[int], Work], list[int]]] = [
        ("width of B", lambda width: classes(width, steps=10), [16, 64, 256, 1024]),
        ("batch size of A", lambda size: regression(size, steps=20), [32, 512, 4096]),
        ("terms of C", lambda terms: oscillator(terms, steps=10), [1, 3, 6, 12]),
        ("steps per epoch of A", lambda steps: regression(steps=steps), [1, 10, 100]),
        ("steps per epoch of C", lambda steps: oscillator(steps=steps), [1, 50]),
    ]
    for name, make, values in series:
        for value in values:
            yield name, value, make(value), loops
    for number in (0, 1, 10):
        with_callbacks: Loop = partial(_with_callbacks, number)
        eager = {"by hand": HAND["by hand"], "Perceptrain": with_callbacks}
        yield "callbacks at each step of A", number, regression(), eager


def _with_callbacks(number: int, work: Work, feed: Feed, epochs: int) -> Any:
    from perceptrain import Callback

    def nothing(trainer: Any, config: Any, writer: Any) -> None:
        """Cost nothing but the call."""

    callbacks = [Callback("train_batch_end", callback=nothing) for _ in range(number)]
    return perceptrain(work, feed, epochs, callbacks=callbacks)
