"""What a stepper is: one way to turn the batches of a step into an update of the parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from perceptrain_core.training.contract.nonfinite_errors import report_skipped
from perceptrain_core.types import LossFunction, StepResult

#: The result of each batch, ``None`` for a skipped one; and whether the parameters were updated.
StepOutcome: TypeAlias = tuple[list[StepResult | None], bool]


@dataclass
class Stepper(ABC):
    """One way to take a step.

    Args:
        model: The model, in training mode.
        optimizer: Updates its parameters.
        loss_fn: The loss; a batch for which it raises `SkipBatch` is skipped.
        device: Where batches are moved; ``None`` leaves them.
        dtype: For the floating point tensors of batches; ``None`` leaves them.

    Attributes:
        grad_norm: If the stepper measures it, the total 2-norm of the gradients of the last step,
            before clipping; a 0-dim tensor on their device.
    """

    model: nn.Module
    optimizer: Any
    loss_fn: LossFunction
    device: torch.device | str | None = None
    dtype: torch.dtype | None = None
    grad_norm: Tensor | None = field(default=None, init=False)

    @abstractmethod
    def take(self, batches: Sequence[Any]) -> StepOutcome:
        """Take one step.

        Args:
            batches: The batches of the step; more than one if gradients are accumulated.

        Returns:
            For each batch the detached loss and metrics from before the update, ``None`` if it was
            skipped; and whether the parameters were updated.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs to take the same steps; most steppers need nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Restore what `state_dict` returned."""

    def summary(self) -> str | None:
        """Return what the user should know about the steps at the end of a fit."""
        return None

    def settle(self) -> None:  # noqa: B027 - most steppers have nothing to do
        """Leave the model with its best parameters, after an epoch and at the end of a fit.

        Along gradients these are the parameters that it has.
        """

    def report_skipped(self, skipped: int, batches: int, epoch: int) -> None:
        """Warn of the skipped batches of an epoch; raise if no batch is left."""
        report_skipped(skipped, batches, epoch, self.model)


def begin_step(loss_fn: Any) -> None:
    """Call ``loss_fn.begin_step()``, if the loss has it, before an optimizer step."""
    begin = getattr(loss_fn, "begin_step", None)
    if begin is not None:
        begin()


def begin_epoch(optimizer: Any, epoch: int) -> None:
    """Call ``optimizer.begin_epoch(epoch)``, if the optimizer has it, before an epoch."""
    begin = getattr(optimizer, "begin_epoch", None)
    if begin is not None:
        begin(epoch)


def end_epoch(optimizer: Any, loss: float) -> None:
    """Call ``optimizer.end_epoch(loss)``, if the optimizer has it, after an epoch."""
    end = getattr(optimizer, "end_epoch", None)
    if end is not None:
        end(loss)
