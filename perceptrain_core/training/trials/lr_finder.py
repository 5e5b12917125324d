"""The learning-rate range test: which rates a model can be trained with, seen in one short run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from perceptrain_core.errors import (
    ConfigError,
    DataError,
    MissingDependencyError,
    NonFiniteLossError,
    TrainingError,
)
from perceptrain_core.schedules.rates import set_rate
from perceptrain_core.training.resume.data_position import Feed
from perceptrain_core.training.trials.sandbox import trial


@dataclass(frozen=True)
class LRFinderResult:
    """What a learning-rate range test has seen.

    Attributes:
        lrs: The rates that were tried, rising; of several parameter groups the largest.
        losses: The loss of each batch, from before the step with that rate.
        smoothed: Running means of them.
        suggestion: A tenth of the rate at which the smoothed loss was lowest, which is the usual
            rule; ``None`` if it never fell.
        diverged: Whether the loss grew out of bounds, or was NaN or infinite, before ``max_lr``.
    """

    lrs: list[float] = field(repr=False)
    losses: list[float] = field(repr=False)
    smoothed: list[float] = field(repr=False)
    suggestion: float | None
    diverged: bool

    def plot(self) -> Any:
        """Draw the loss over the learning rate.

        Returns:
            A ``matplotlib.figure.Figure``.

        Raises:
            MissingDependencyError: matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise MissingDependencyError(
                'Pictures need matplotlib: pip install "perceptrain-core[plot]".'
            ) from error
        figure = Figure(figsize=(5.2, 3.8), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(self.lrs, self.losses, label="loss", linewidth=0.8, alpha=0.5)
        axes.plot(self.lrs, self.smoothed, label="smoothed", linewidth=1.4)
        if self.suggestion is not None:
            label = f"suggestion {self.suggestion:.2g}"
            axes.axvline(self.suggestion, label=label, color="black", linestyle=":")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        if self.smoothed:  # the divergence would flatten all that comes before
            low, first = min(self.smoothed), self.smoothed[0]
            margin = 0.3 * (first - low) or 0.1 * abs(first) or 1.0
            axes.set_ylim(low - margin, first + 2 * margin)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        return figure


def find_lr(
    trainer: Any,
    data: Any,
    min_lr: float,
    max_lr: float,
    steps: int,
    smoothing: float,
    divergence: float,
) -> LRFinderResult:
    """Train with rates that rise; see `Trainer.find_lr`."""
    _check(min_lr, max_lr, steps, smoothing, divergence)
    with trial(trainer, data) as (step, feed):
        groups, shares = trainer.optimizer.param_groups, _shares(trainer.optimizer)
        curve = _Curve(smoothing, divergence)
        for number, batches in zip(range(steps), _endless(feed), strict=False):
            rate = min_lr * (max_lr / min_lr) ** (number / (steps - 1))
            for group, share in zip(groups, shares, strict=True):
                set_rate(group, rate * share)
            try:
                loss = step(batches)
            except NonFiniteLossError:
                if not curve.lrs:  # not for the rate, then
                    raise
                return curve.result(diverged=True)
            if curve.add(rate, loss):
                return curve.result(diverged=True)
    if not curve.lrs:
        raise DataError("The training data gave no batch: they are empty or used up.")
    return curve.result(diverged=False)


class _Curve:
    """The loss over the rate, as it comes."""

    def __init__(self, smoothing: float, divergence: float) -> None:
        self._smoothing, self._divergence = smoothing, divergence
        self.lrs: list[float] = []
        self._losses: list[float] = []
        self._smoothed: list[float] = []
        self._average = 0.0

    def add(self, rate: float, loss: float) -> bool:
        """Take a loss; say whether it is out of bounds."""
        self.lrs.append(rate)
        self._losses.append(loss)
        beta = self._smoothing
        self._average = beta * self._average + (1 - beta) * loss
        # Without the correction the first means would be drawn towards the 0 that they began with.
        self._smoothed.append(self._average / (1 - beta ** len(self.lrs)))
        best = min(self._smoothed)
        return self._smoothed[-1] > best + (self._divergence - 1) * abs(best)

    def result(self, diverged: bool) -> LRFinderResult:
        """Give what was seen."""
        lowest = self._smoothed.index(min(self._smoothed))
        tenth = self.lrs[lowest] / 10
        # Below what was tried nothing is known: the loss never really fell.
        suggestion = tenth if tenth >= self.lrs[0] else None
        return LRFinderResult(self.lrs, self._losses, self._smoothed, suggestion, diverged)


def _shares(optimizer: Any) -> list[float]:
    """Give the rate of each group as a share of the largest, which the test is to keep."""
    if any("lr" not in group for group in optimizer.param_groups):
        raise TrainingError(f"{type(optimizer).__name__} has no learning rate that could be found.")
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    largest = max(rates)
    return [rate / largest if largest else 1.0 for rate in rates]


def _endless(feed: Feed) -> Iterator[list[Any]]:
    """Give the batches of each step of one epoch after another, until one has none."""
    while True:
        yield from feed.steps()
        if not feed.batch:
            return
        feed.end_epoch()


def _check(min_lr: float, max_lr: float, steps: int, smoothing: float, divergence: float) -> None:
    faults = {
        f"min_lr={min_lr} and max_lr={max_lr}: expected 0 < min_lr < max_lr": (
            not 0 < min_lr < max_lr or not isfinite(max_lr)
        ),
        f"steps={steps!r}: expected a whole number of at least 2": (
            not isinstance(steps, int) or steps < 2
        ),
        f"smoothing={smoothing}: expected a number from 0, below 1": not 0 <= smoothing < 1,
        f"divergence={divergence}: expected a number above 1": not divergence > 1,
    }
    found = [text for text, wrong in faults.items() if wrong]
    if found:
        raise ConfigError("find_lr: " + "; ".join(found) + ".")
