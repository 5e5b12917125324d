"""Steps of two processes, against a loop by hand with ``DistributedDataParallel``.

Both loops run in each of the two processes, and take turns as in ``turns.py``. A step ends when
both processes have exchanged their gradients, so turns are measured in the time on the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import quantiles
from time import perf_counter
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from benchmarks.loops import perceptrain
from benchmarks.turns import ENDLESS, Feed, Seat
from benchmarks.works import Work, classes
from perceptrain import Accelerator

PROCESSES = 2
WIDTHS = (256, 1024)
_WARM_UP = 2


def by_hand(work: Work, feed: Feed, epochs: int) -> nn.Module:
    """The loop by hand: each process trains on its share of the batches."""
    network = work.network()
    model = DistributedDataParallel(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    own = feed.batches[dist.get_rank() :: dist.get_world_size()]
    feed.batches = own
    for _ in range(epochs):
        for batch in feed:
            optimizer.zero_grad(set_to_none=True)
            loss = work.loss(batch, model)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return network


def measure(seconds: float, compared: tuple[int, ...] = WIDTHS) -> list[dict[str, Any]]:
    """Start the processes, and measure classifiers.

    Args:
        seconds: The time for each of them.
        compared: The widths of their layers.

    Returns:
        For each its title, ``us`` per step by hand, and the quartiles of the ratios of turns.
    """
    run = Accelerator(nprocs=PROCESSES, compute_setup="cpu").distribute(_measured)
    return run(seconds, compared)


def _measured(seconds: float, widths: tuple[int, ...]) -> list[dict[str, Any]]:
    torch.set_num_threads(1)
    assert Accelerator(compute_setup="cpu").world_size == PROCESSES  # connects them
    return [_race(classes(width), seconds) for width in widths]


def _race(work: Work, seconds: float) -> dict[str, Any]:
    seats = [
        Seat("by hand", _runner(by_hand, work)),
        Seat("Perceptrain", _runner(perceptrain, work)),
    ]
    times: list[list[float]] = [[], []]
    for _ in range(_WARM_UP + 1):
        for seat in seats:
            seat.take_turn()
    # Processes that decided for themselves could end after different turns.
    rounds = torch.tensor(seconds / sum(_timed(seat) for seat in seats))
    dist.broadcast(rounds, src=0)
    for _ in range(max(4, int(rounds))):
        for seat, own in zip(seats, times, strict=True):
            own.append(_timed(seat))
    for seat in seats:
        seat.close()
        if seat.error is not None:
            raise seat.error
    steps = len(work.batches) // PROCESSES
    ratios = [one / other for other, one in zip(*times, strict=True)]
    return {
        "title": work.title,
        "us": round(1e6 * quantiles(times[0])[0] / steps, 1),
        "ratio": [round(quartile, 3) for quartile in quantiles(ratios)],
    }


def _runner(loop: Callable[..., object], work: Work) -> Callable[[Seat], object]:
    return lambda seat: loop(work, Feed(work.batches, seat.next_turn), ENDLESS)


def _timed(seat: Seat) -> float:
    dist.barrier()
    start = perf_counter()
    seat.take_turn()
    return perf_counter() - start
