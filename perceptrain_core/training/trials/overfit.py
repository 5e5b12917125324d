"""Overfitting a single batch: a test of whether model, loss and optimizer fit together."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import Any

from perceptrain_core.errors import NonFiniteLossError
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.training.trials.sandbox import Step


@dataclass(frozen=True)
class OverfitResult:
    """The result of training on one batch.

    Attributes:
        losses: The loss before each step.
        passed: Whether the loss fell to the target.
        verdict: A sentence on the result, and on what to check if it did not pass.
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
        """The last finite loss."""
        return self.losses[-1]

    @property
    def ratio(self) -> float:
        """The last loss as a share of the first; NaN if that was 0."""
        return self.last / self.first if self.first else nan


@dataclass(frozen=True)
class OverfitSettings:
    """The arguments of `Trainer.overfit_batch`, checked.

    Raises:
        ConfigError: An argument is out of range.
    """

    steps: int
    target: float

    def __post_init__(self) -> None:
        faults = number_faults({"steps": self.steps}, whole=True, at_least=2)
        faults += number_faults({"target": self.target}, above=0, below=1)
        refuse("overfit_batch", faults)


def overfit_batch(
    step: Step, batch: Any, optimizer: Any, settings: OverfitSettings
) -> OverfitResult:
    """Train on one batch; see `Trainer.overfit_batch`.

    Args:
        step: Takes a step.
        batch: The batch.
        optimizer: Its rates are reported.
        settings: The arguments.
    """
    losses: list[float] = []
    rates = [float(group.get("lr", nan)) for group in optimizer.param_groups]
    for _ in range(settings.steps):
        try:
            losses.append(step([batch]))
        except NonFiniteLossError:
            if not losses:
                raise
            break
    finite = len(losses) == settings.steps
    # A loss may be negative, such as that of a density: then it has to fall by as much.
    passed = finite and losses[-1] <= losses[0] - (1 - settings.target) * abs(losses[0])
    return OverfitResult(losses, passed, _verdict(losses, passed, finite, rates))


def _verdict(losses: list[float], passed: bool, finite: bool, rates: list[float]) -> str:
    first, last = losses[0], losses[-1]
    course = f"from {first:.4g} to {last:.4g} in {len(losses)} steps on one batch"
    if passed:
        return f"The loss fell {course}: the model can learn it."
    if not finite:
        return (
            f"The loss was NaN or infinite after {len(losses)} steps on one batch: lower the "
            "learning rate, or check roots, logarithms and divisions in the loss."
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
        f"The loss fell only {course}. If it is still falling, raise steps or the learning rate "
        "(find_lr suggests one). Otherwise the model is too small for the batch, the labels do not "
        "follow from the inputs, or the loss cannot reach 0: check that each row has its own label."
    )
