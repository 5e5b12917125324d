"""Name the processes that do not answer when an exchange fails."""

from __future__ import annotations

import json
import re
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch.distributed as dist

from perceptrain_core.engine.process_group import JoinedGroup, joined_group
from perceptrain_core.errors import TrainingError

# Seconds in which processes that wait for the same one notice it. In this time a launcher also
# sees which of them ended first.
_PATIENCE = 3.0
# Gloo raises RuntimeErrors, most of them with the place in its source.
_FAILED = re.compile(r"\bgloo/|Connection (closed|reset) by peer|caused pair closure")
_TIMED_OUT = re.compile(r"[Tt]imed out|[Tt]imeout")


@dataclass(frozen=True)
class Wait:
    """What a process waited for.

    Attributes:
        where: The exchange, as messages name it.
        timed_out: Whether its time was up; otherwise a connection was lost.
    """

    where: str
    timed_out: bool


def is_lost(error: BaseException) -> bool:
    """Whether an error only says that other processes do not answer."""
    return _is_failed_exchange(error) or (
        error.__cause__ is not None and _is_failed_exchange(error.__cause__)
    )


@contextmanager
def naming_the_lost() -> Iterator[None]:
    """Replace the errors of failed exchanges as `name_the_lost` does."""
    try:
        yield
    except RuntimeError as error:
        if (named := name_the_lost(error)) is error:
            raise
        raise named from error


def name_the_lost(error: BaseException) -> BaseException:
    """Return an error that names the processes that do not answer.

    Takes some seconds, in which the waiting processes report to each other where they wait.

    Args:
        error: Any error.

    Returns:
        A `TrainingError` if ``error`` is a failed exchange of a group that this library has
        joined; otherwise ``error`` itself.
    """
    group = joined_group()
    if group is None or not _is_failed_exchange(error):
        return error
    rank, size = dist.get_rank(), dist.get_world_size()
    own = Wait(_exchange(error), bool(_TIMED_OUT.search(str(error))))
    try:
        waits = _waits_of_all(group, rank, size, own)
    except RuntimeError:  # the process with the store has ended
        waits = {rank: own}
    named = TrainingError(_described(waits, rank, size, group.timeout))
    named.__cause__ = error
    return named.with_traceback(error.__traceback__)


def _is_failed_exchange(error: BaseException) -> bool:
    if isinstance(error, TrainingError) or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, dist.DistError) or bool(_FAILED.search(str(error)))


def _exchange(error: BaseException) -> str:
    """Return where an exchange failed: a function of torch.distributed, or the gradients."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).name == "distributed_c10d.py":
            return frame.name
        if frame.name == "backward":
            return "the exchange of gradients"
    return "an exchange"


def _waits_of_all(group: JoinedGroup, rank: int, size: int, own: Wait) -> dict[int, Wait]:
    store = group.store
    store.set(str(rank), json.dumps(asdict(own)))
    end = time.monotonic() + _PATIENCE
    waits: dict[int, Wait] = {}
    while len(waits) < size and time.monotonic() < end:
        for other in set(range(size)) - waits.keys():
            if store.check([str(other)]):
                waits[other] = Wait(**json.loads(store.get(str(other))))
        time.sleep(0.05)
    return dict(sorted(waits.items()))


def _described(waits: Mapping[int, Wait], rank: int, size: int, timeout: float) -> str:
    missing = [other for other in range(size) if other not in waits]
    places = "; ".join(f"process {other} in {wait.where}" for other, wait in waits.items())
    if not missing:
        return (
            f"All processes wait for each other: {places}. Every process must take the same steps "
            "and call the same exchanges, in the same order."
            if len({wait.where for wait in waits.values()}) > 1
            else f"The processes lost the connection to each other: {places}."
        )
    lost = f"process{'es' * (len(missing) > 1)} {', '.join(map(str, missing))}"
    one = len(missing) == 1
    if any(wait.timed_out for wait in waits.values()):
        return (
            f"No answer from {lost} within {timeout:g} s (waiting: {places}). "
            f"{'It hangs, or works' if one else 'They hang, or work'} for longer: then increase "
            "process_timeout."
        )
    return (
        f"The connection to {lost} is lost, which must have ended (waiting: {places}). What "
        f"{'that process' if one else 'those processes'} printed may say why."
    )
