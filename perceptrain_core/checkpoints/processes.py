"""The processes that write one checkpoint together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch.distributed as dist

from perceptrain_core.checkpoints.file import first_cause
from perceptrain_core.errors import CheckpointError
from perceptrain_core.processes import connected_processes

Value = TypeVar("Value")


class Processes:
    """The processes of a group, or this one alone.

    Args:
        group: The group; by default that of all processes, if they are connected.
    """

    def __init__(self, group: Any = None) -> None:
        connected = connected_processes() > 0
        self._group = group
        self.rank = dist.get_rank(group) if connected else 0
        self.size = dist.get_world_size(group) if connected else 1

    def share(self, work: Callable[[], Value]) -> list[Value]:
        """Call a function in each process, and return all results by rank.

        Raises:
            Exception: As raised by this process, in it.
            CheckpointError: Another process failed.
        """
        failure: Exception | None = None
        outcome: Any = None
        try:
            outcome = work()
        except Exception as error:
            failure = error
        outcomes = self._gather((outcome, None if failure is None else str(first_cause(failure))))
        if failure is not None:
            raise failure
        for rank, (_, reason) in enumerate(outcomes):
            if reason is not None:
                raise CheckpointError(f"process {rank} failed: {reason}")
        return [value for value, _ in outcomes]

    def first(self, work: Callable[[], Value]) -> Value:
        """Call a function in the first process, and return its result in all.

        Raises:
            Exception: As raised by the function, in the first process.
            CheckpointError: The first process failed, in the others.
        """
        found: Value | None = self.share(lambda: work() if self.rank == 0 else None)[0]
        return found  # type: ignore[return-value]

    def _gather(self, value: Value) -> list[Value]:
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self._group)
        return values
