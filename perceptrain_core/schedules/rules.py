"""The learning rates of the ``lr_scheduler_*`` callbacks, in closed form."""

from __future__ import annotations

from math import cos, pi


def cosine_annealing(initial: float, position: float, t_max: int, min_lr: float) -> float:
    """Return the rate at a position on the cosine from ``initial`` (0) to ``min_lr`` (``t_max``).

    After ``t_max`` the rate rises again along the same cosine.
    """
    return min_lr + (initial - min_lr) * (1 + cos(pi * position / t_max)) / 2


def triangle(position: int, base_lr: float, max_lr: float, step_size: int) -> float:
    """Return the rate at a position on triangles from ``base_lr`` up to ``max_lr`` and back.

    The rate is ``base_lr`` at position 0 and ``max_lr`` at position ``step_size``.
    """
    phase = position % (2 * step_size) / step_size
    return base_lr + (max_lr - base_lr) * (1 - abs(1 - phase))


def reduced(rate: float, gamma: float, min_lr: float) -> float:
    """Return the rate times ``gamma``, not below ``min_lr``; a rate already below it is kept."""
    return max(rate * gamma, min(rate, min_lr))
