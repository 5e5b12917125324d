"""Where the time of a step goes: data, loss, backward pass, optimizer and callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import nn

from perceptrain_core.errors import DataError
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.training.resume.data_position import DataPosition
from perceptrain_core.training.steppers.base import Stepper
from perceptrain_core.training.trials.batch_callbacks import BatchCallbacks
from perceptrain_core.training.trials.sandbox import endless
from perceptrain_core.types import LossFunction, StepResult

SECTIONS = ("data", "loss", "backward", "optimizer", "callbacks")


@dataclass(frozen=True)
class ProfileResult:
    """Where the time of some training steps went; print it to see a table.

    Attributes:
        steps: The number of steps.
        seconds: The time of all steps, by section: ``"data"``, reading batches and moving them to
            the device; ``"loss"``, the forward pass; ``"backward"``, the gradients, and all else
            that a step does; ``"optimizer"``, the update of the parameters; ``"callbacks"``, those
            of the stages of batches.
    """

    steps: int
    seconds: dict[str, float]

    @property
    def total(self) -> float:
        """The time of all sections, in seconds."""
        return sum(self.seconds.values())

    @property
    def shares(self) -> dict[str, float]:
        """The share of each section, from 0 to 1."""
        return {name: seconds / self.total for name, seconds in self.seconds.items()}

    @property
    def steps_per_second(self) -> float:
        """The speed."""
        return self.steps / self.total

    def __str__(self) -> str:
        """Return a table with the milliseconds per step and the share of each section."""
        rows = [(name, seconds, self.shares[name]) for name, seconds in self.seconds.items()]
        lines = [f"{'SECTION':<10} {'MS PER STEP':>12} {'SHARE':>7}"]
        lines += [
            f"{name:<10} {1000 * seconds / self.steps:>12.3f} {share:>7.1%}"
            for name, seconds, share in [*rows, ("total", self.total, 1.0)]
        ]
        return "\n".join(lines)


def profile(
    stepper: Stepper,
    position: DataPosition,
    callbacks: BatchCallbacks,
    place: Callable[[Any], Any],
    steps: int,
) -> ProfileResult:
    """Take some steps, and measure them; see `Trainer.profile`.

    Args:
        stepper: Takes the steps.
        position: Yields the batches of each step.
        callbacks: Called before and after each step.
        place: Moves a batch to the device.
        steps: How many steps to measure, after a first one that is not.

    Raises:
        DataError: The data have no batch.
    """
    watch = Stopwatch(stepper.model)
    batches = endless(position)
    stepper.loss_fn = TimedLoss(stepper.loss_fn, watch)
    hooks = (
        stepper.optimizer.register_step_pre_hook(lambda *_: watch.enter("optimizer")),
        stepper.optimizer.register_step_post_hook(lambda *_: watch.leave()),
    )
    try:
        for _ in range(steps + 1):
            if watch.laps == 1:  # the first step prepares what later ones use
                watch.clear()
            _take_step(watch, stepper, batches, callbacks, place)
    finally:
        for hook in hooks:
            hook.remove()
    return ProfileResult(steps, dict(watch.seconds))


def check_steps(steps: int) -> None:
    """Check the number of steps.

    Raises:
        ConfigError: It is not a positive integer.
    """
    refuse("profile", number_faults({"steps": steps}, whole=True, at_least=1))


def _take_step(
    watch: Stopwatch,
    stepper: Stepper,
    steps: Iterator[list[Any]],
    callbacks: BatchCallbacks,
    place: Callable[[Any], Any],
) -> None:
    with watch.section("data"):
        batches = next(steps, None)
        if batches is None:
            raise DataError(
                "The training data yielded no batch: they are empty or used up: pass more."
            )
        placed = [place(batch) for batch in batches]
    with watch.section("callbacks"):
        callbacks.start(batches)
    with watch.section("backward"):
        results, _ = stepper.take(placed)
    with watch.section("callbacks"):
        callbacks.end(results)
    watch.laps += 1


class Stopwatch:
    """Charge time to sections; the time of an inner section is not charged to the outer one.

    Args:
        model: If it is on a GPU, each section waits for the work that it has started there.

    Attributes:
        seconds: The time of each section.
        laps: The steps so far.
    """

    def __init__(self, model: nn.Module) -> None:
        self.laps = 0
        self._on_gpu = any(parameter.is_cuda for parameter in model.parameters())
        self._open: list[str] = []
        self._since = 0.0
        self.clear()

    def clear(self) -> None:
        """Forget the times."""
        self.seconds = dict.fromkeys(SECTIONS, 0.0)

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Charge the time of a block, and close what is left open in it."""
        depth = len(self._open)
        self.enter(name)
        try:
            yield
        finally:
            self._charge()
            del self._open[depth:]

    def enter(self, name: str) -> None:
        """Begin a section."""
        self._charge()
        self._open.append(name)

    def leave(self) -> None:
        """End the innermost section."""
        self._charge()
        self._open.pop()

    def _charge(self) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()
        now = perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now


class TimedLoss:
    """A loss whose time is charged to ``"loss"``."""

    def __init__(self, loss_fn: LossFunction, watch: Stopwatch) -> None:
        self._loss_fn, self._watch = loss_fn, watch
        self.begin_step = getattr(loss_fn, "begin_step", None)

    def __call__(self, batch: Any, model: nn.Module) -> StepResult:
        """Evaluate the loss."""
        with self._watch.section("loss"):
            return self._loss_fn(batch, model)
