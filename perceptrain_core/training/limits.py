"""How long a run may last, in steps and in seconds: ``max_steps`` and ``max_time``."""

from __future__ import annotations

from math import ceil, inf
from time import monotonic

from perceptrain_core.config import TrainConfig


class Limits:
    """The limits of one fit; its time starts when this is created.

    Args:
        config: The settings.

    Attributes:
        steps: The number of optimizer steps of the whole run; infinite without a limit.
        timed: Whether the time of the fit is limited.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.steps = inf if config.max_steps is None else config.max_steps
        self.timed = config.max_time is not None
        self._end = monotonic() + (config.max_time or 0.0)

    def is_time_up(self) -> bool:
        """Whether the time of the fit has passed; call it only if the time is limited."""
        return monotonic() >= self._end


def planned_epochs(config: TrainConfig, batches: int | None) -> int:
    """Return the epochs of a run in which no batch is skipped, a last incomplete one included.

    Args:
        config: The settings.
        batches: Batches per epoch, if known.
    """
    if config.max_steps is None or not batches:
        return config.max_iter
    steps = ceil(batches / config.accumulate)
    return min(config.max_iter, ceil(config.max_steps / steps))
