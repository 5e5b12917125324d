"""One batch, learned by heart: whether a model, a loss and an optimizer fit together at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import Any

from perceptrain_core.errors import ConfigError, NonFiniteLossError
from perceptrain_core.training.trials.sandbox import trial


@dataclass(frozen=True)
class OverfitResult:
    """What training on one batch came to.

    Attributes:
        losses: The loss before each step.
        passed: Whether the loss fell as far as it was to.
        verdict: What that says, and what to look at if it did not.
    """

    losses: list[float] = field(repr=False)
    passed: bool
    verdict: str

    @property
    def first(self) -> float:
        """The first loss."""
        return self.losses[0]

    @property
    def last(self) -> float:
        """The last loss that is a number."""
        return self.losses[-1]

    @property
    def ratio(self) -> float:
        """What is left of the loss, as a share of the first; NaN if that was 0."""
        return self.last / self.first if self.first else nan


def overfit_batch(trainer: Any, batch: Any, data: Any, steps: int, target: float) -> OverfitResult:
    """Train on one batch; see `Trainer.overfit_batch`."""
    if not isinstance(steps, int) or steps < 2:
        raise ConfigError(f"overfit_batch: steps={steps!r}: expected a whole number of at least 2.")
    if not 0 < target < 1:
        raise ConfigError(f"overfit_batch: target={target!r}: expected a number between 0 and 1.")
    losses: list[float] = []
    with trial(trainer, data if batch is None else None) as (step, feed):
        if batch is None:
            batch = feed.epochs.first()
        rates = [float(group.get("lr", nan)) for group in trainer.optimizer.param_groups]
        for _ in range(steps):
            try:
                losses.append(step([batch]))
            except NonFiniteLossError:
                if not losses:
                    raise
                break
    finite = len(losses) == steps
    # A loss may be below 0, as that of a density: then it has to fall by as much.
    passed = finite and losses[-1] <= losses[0] - (1 - target) * abs(losses[0])
    return OverfitResult(losses, passed, _verdict(losses, passed, finite, rates))


def _verdict(losses: list[float], passed: bool, finite: bool, rates: list[float]) -> str:
    first, last = losses[0], losses[-1]
    course = f"from {first:.4g} to {last:.4g} in {len(losses)} steps on one batch"
    if passed:
        return f"The loss fell {course}: the model can learn it."
    if not finite:
        return (
            f"The loss was NaN or infinite after {len(losses)} steps on one batch: lower the "
            "learning rate, or look for roots, logarithms and divisions in the loss."
        )
    if not any(rates):
        return f"The loss went {course}: the learning rate is 0."
    if min(losses) == max(losses):
        return (
            f"The loss stayed at {first:.4g} through {len(losses)} steps on one batch: the "
            "gradient is 0 (dead activations, parameters that are not in the optimizer), or the "
            "learning rate is much too low."
        )
    if last >= first:
        return f"The loss went {course}, it did not fall: lower the learning rate."
    return (
        f"The loss fell only {course}. If it would go on falling, raise steps or the learning "
        "rate (find_lr suggests one); else the model is too small for the batch, or the labels do "
        "not follow from the inputs, or the loss cannot reach 0: see that each row has its own "
        "label."
    )
