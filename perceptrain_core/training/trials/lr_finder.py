"""The learning-rate range test: one short run with rising rates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from perceptrain_core.errors import (
    DataError,
    MissingDependencyError,
    NonFiniteLossError,
    TrainingError,
)
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.schedules.rates import set_rate
from perceptrain_core.training.resume.data_position import DataPosition
from perceptrain_core.training.trials.sandbox import Step, endless


@dataclass(frozen=True)
class LRFinderResult:
    """The result of a learning-rate range test.

    Attributes:
        lrs: The rates tried, rising; for several parameter groups the largest.
        losses: The loss of each batch, from before the step with that rate.
        smoothed: Their moving average.
        suggestion: A tenth of the rate at which the smoothed loss was lowest, the usual rule;
            ``None`` if the loss never fell.
        diverged: Whether the loss diverged, or was NaN or infinite, before ``max_lr``.
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
        if self.smoothed:  # otherwise the divergence would flatten everything before it
            low, first = min(self.smoothed), self.smoothed[0]
            margin = 0.3 * (first - low) or 0.1 * abs(first) or 1.0
            axes.set_ylim(low - margin, first + 2 * margin)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        return figure


@dataclass(frozen=True)
class LRFinderSettings:
    """The arguments of `Trainer.find_lr`, checked.

    Raises:
        ConfigError: An argument is out of range; the message lists all faults.
    """

    min_lr: float
    max_lr: float
    steps: int
    smoothing: float
    divergence: float

    def __post_init__(self) -> None:
        faults = number_faults({"min_lr": self.min_lr, "max_lr": self.max_lr}, above=0)
        if not faults and self.min_lr >= self.max_lr:
            faults = [f"min_lr={self.min_lr} and max_lr={self.max_lr}: expected min_lr < max_lr"]
        faults += number_faults({"steps": self.steps}, whole=True, at_least=2)
        faults += number_faults({"smoothing": self.smoothing}, at_least=0, below=1)
        faults += number_faults({"divergence": self.divergence}, above=1)
        refuse("find_lr", faults)


def find_lr(
    step: Step, position: DataPosition, optimizer: Any, settings: LRFinderSettings
) -> LRFinderResult:
    """Train with rising rates; see `Trainer.find_lr`.

    Args:
        step: Takes a step.
        position: Yields the batches of each step.
        optimizer: Its rates are set.
        settings: The arguments.
    """
    groups, shares = optimizer.param_groups, _shares(optimizer)
    curve = _Curve(settings.smoothing, settings.divergence)
    low, high, steps = settings.min_lr, settings.max_lr, settings.steps
    for number, batches in zip(range(steps), endless(position), strict=False):
        rate = low * (high / low) ** (number / (steps - 1))
        for group, share in zip(groups, shares, strict=True):
            set_rate(group, rate * share)
        try:
            loss = step(batches)
        except NonFiniteLossError:
            if not curve.lrs:  # then the rate is not the reason
                raise
            return curve.result(diverged=True)
        if curve.add(rate, loss):
            return curve.result(diverged=True)
    if not curve.lrs:
        raise DataError("The training data yielded no batch: they are empty or used up: pass more.")
    return curve.result(diverged=False)


class _Curve:
    """Collects the loss at each rate."""

    def __init__(self, smoothing: float, divergence: float) -> None:
        self._smoothing, self._divergence = smoothing, divergence
        self.lrs: list[float] = []
        self._losses: list[float] = []
        self._smoothed: list[float] = []
        self._average = 0.0

    def add(self, rate: float, loss: float) -> bool:
        """Add a loss; return whether it diverged."""
        self.lrs.append(rate)
        self._losses.append(loss)
        beta = self._smoothing
        self._average = beta * self._average + (1 - beta) * loss
        # The correction removes the bias towards the initial 0.
        self._smoothed.append(self._average / (1 - beta ** len(self.lrs)))
        best = min(self._smoothed)
        return self._smoothed[-1] > best + (self._divergence - 1) * abs(best)

    def result(self, diverged: bool) -> LRFinderResult:
        """Return the result so far."""
        lowest = self._smoothed.index(min(self._smoothed))
        tenth = self.lrs[lowest] / 10
        # A rate below those tried means that the loss never really fell.
        suggestion = tenth if tenth >= self.lrs[0] else None
        return LRFinderResult(self.lrs, self._losses, self._smoothed, suggestion, diverged)


def _shares(optimizer: Any) -> list[float]:
    """Return the rate of each group as a share of the largest; the test keeps the ratios."""
    if any("lr" not in group for group in optimizer.param_groups):
        raise TrainingError(
            f"{type(optimizer).__name__} has no learning rate to find: use an optimizer of "
            "torch.optim."
        )
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    largest = max(rates)
    return [rate / largest if largest else 1.0 for rate in rates]
