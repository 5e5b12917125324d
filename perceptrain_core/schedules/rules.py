"""The rules of the ``lr_scheduler_*`` callbacks: rates as functions, and how far a run has got."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import cos, pi
from typing import Any

from perceptrain_core.schedules.rates import set_rate


def step_decay(rate: float, gamma: float) -> float:
    """Return the rate after one more step of a decay by ``gamma``."""
    return rate * gamma


def cosine_annealing(initial: float, position: float, t_max: int, min_lr: float) -> float:
    """Return the rate at a position on the cosine from ``initial`` (0) to ``min_lr`` (``t_max``).

    After ``t_max`` the rate rises again along the same cosine.
    """
    return min_lr + (initial - min_lr) * (1 + cos(pi * position / t_max)) / 2


def triangle(position: int, base_lr: float, max_lr: float, step_size: int) -> float:
    """Return the rate at a position on triangles from ``base_lr`` up to ``max_lr`` and back.

    Args:
        position: Epochs or batches since the start, where the rate is ``base_lr``.
        base_lr: The lowest rate.
        max_lr: The highest rate.
        step_size: Epochs or batches from one to the other.
    """
    phase = position % (2 * step_size) / step_size
    return base_lr + (max_lr - base_lr) * (1 - abs(1 - phase))


def reduced(rate: float, gamma: float, min_lr: float) -> float:
    """Return the rate times ``gamma``, not below ``min_lr``; a rate already below it is kept."""
    return max(rate * gamma, min(rate, min_lr))


class RuleProgress:
    """What a rule remembers during a run, and how it sets the rates.

    Attributes:
        calls: How often the rule has set the rates in this run.
        initial_rates: The rate of each parameter group at the first call; empty before it.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start over: the next call records the initial rates."""
        self.calls = 0
        self.initial_rates: list[float] = []

    def apply(
        self, groups: Iterable[dict[str, Any]], rate: Callable[[float, float], float]
    ) -> None:
        """Set the rate of each parameter group to ``rate(current, initial)``."""
        groups = list(groups)
        current = [float(group["lr"]) for group in groups]
        # The initial rate of a group that was added later is the one it has now.
        self.initial_rates += current[len(self.initial_rates) :]
        for group, *both in zip(groups, current, self.initial_rates, strict=False):
            set_rate(group, rate(*both))

    def state_dict(self) -> dict[str, Any]:
        """Return the number of calls and the initial rates."""
        return {"calls": self.calls, "initial_rates": list(self.initial_rates)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.calls, self.initial_rates = state["calls"], list(state["initial_rates"])
