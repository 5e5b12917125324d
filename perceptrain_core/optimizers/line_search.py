"""A line search for the strong Wolfe conditions (Nocedal and Wright, algorithms 3.5 and 3.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, sqrt

from torch import Tensor

ARMIJO = 1e-4
CURVATURE = 0.9


@dataclass(frozen=True)
class Trial:
    """The loss at one point of a line.

    Attributes:
        step: How far along the direction, 0 at the start.
        loss: The loss there; infinity if it, or its gradient, is not finite.
        slope: The derivative of the loss along the direction.
        gradient: The gradient, a vector of shape ``(P,)``.
    """

    step: float
    loss: float
    slope: float
    gradient: Tensor


def strong_wolfe(
    evaluate: Callable[[float], Trial], start: Trial, step: float, max_evals: int = 25
) -> Trial | None:
    """Search for a step that satisfies the strong Wolfe conditions.

    Args:
        evaluate: Evaluates the loss after a step.
        start: The loss at the start, where the slope is negative.
        step: The first step to try.
        max_evals: The maximum number of evaluations.

    Returns:
        The trial that satisfies the conditions; if there is none within ``max_evals``, the best one
        whose loss has decreased sufficiently; ``None`` if no loss has.
    """
    previous = start
    for used in range(1, max_evals + 1):
        trial = evaluate(step)
        if not _decreases(trial, start) or (used > 1 and trial.loss >= previous.loss):
            return _zoom(evaluate, start, previous, trial, max_evals - used)
        if _is_flat(trial, start):
            return trial
        if trial.slope >= 0:
            return _zoom(evaluate, start, trial, previous, max_evals - used)
        least, most = trial.step + 0.01 * (trial.step - previous.step), 10 * trial.step
        step = min(max(_cubic_minimum(previous, trial, otherwise=most), least), most)
        previous = trial
    return previous


def _zoom(
    evaluate: Callable[[float], Trial], start: Trial, low: Trial, high: Trial, evals: int
) -> Trial | None:
    """Shrink an interval that contains such a step; ``low`` has the least loss so far."""
    for _ in range(evals):
        ends = sorted((low.step, high.step))
        margin = 0.1 * (ends[1] - ends[0])
        minimum = _cubic_minimum(low, high, otherwise=(ends[0] + ends[1]) / 2)
        step = min(max(minimum, ends[0] + margin), ends[1] - margin)
        if not ends[0] < step < ends[1]:  # the interval is as small as numbers allow
            break
        trial = evaluate(step)
        if not _decreases(trial, start) or trial.loss >= low.loss:
            high = trial
            continue
        if _is_flat(trial, start):
            return trial
        if trial.slope * (high.step - low.step) >= 0:
            high = low
        low = trial
    return low if low.step > 0 else None


def _decreases(trial: Trial, start: Trial) -> bool:
    return trial.loss <= start.loss + ARMIJO * trial.step * start.slope


def _is_flat(trial: Trial, start: Trial) -> bool:
    return abs(trial.slope) <= -CURVATURE * start.slope


def _cubic_minimum(first: Trial, second: Trial, otherwise: float) -> float:
    """Return where the cubic through two losses and slopes has its minimum, if it has one."""
    if not isfinite(first.loss) or not isfinite(second.loss):
        return otherwise
    a, b = (first, second) if first.step < second.step else (second, first)
    chord = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.step - b.step)
    square = chord * chord - a.slope * b.slope
    if not square >= 0:
        return otherwise
    root = sqrt(square)
    divisor = b.slope - a.slope + 2 * root
    if divisor == 0:
        return otherwise
    return b.step - (b.step - a.step) * (b.slope + root - chord) / divisor
