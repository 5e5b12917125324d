"""Steps without gradients: an optimizer proposes candidates and is told their losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import nan
from typing import Any

import torch
from torch import nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.data.support.device import data_to_device
from perceptrain_core.errors import ConfigError
from perceptrain_core.optimizers.ask_tell import AskTell, write_vector
from perceptrain_core.tensors import detached
from perceptrain_core.training.steppers.base import StepOutcome, begin_step
from perceptrain_core.training.steppers.custom import CustomStepper
from perceptrain_core.types import LossFunction, SkipBatch, StepResult
from perceptrain_core.user_warnings import warn_user

#: Settings that only mean something for gradient-based training.
_GRADIENT_SETTINGS = (
    "accumulate",
    "ema",
    "grad_clip",
    "grad_clip_value",
    "log_grad_norm",
    "lr_scheduler",
)


def ask_tell_step(
    model: nn.Module,
    optimizer: AskTell,
    loss_fn: LossFunction,
    xs: Any,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> StepResult:
    """Try one candidate on one batch.

    Args:
        model: The model; afterwards it holds the candidate.
        optimizer: The search.
        loss_fn: Evaluated once, without gradients. If it has a method ``begin_step``, that is
            called once before.
        xs: The batch.
        device: Where to move the batch; ``None`` leaves it.
        dtype: For the floating point tensors of the batch; ``None`` leaves them.

    Returns:
        The loss and the metrics of the candidate.
    """
    xs = data_to_device(xs, device, dtype)
    begin_step(loss_fn)
    candidate = optimizer.ask()
    write_vector(optimizer.params, candidate)
    with torch.no_grad():
        loss, metrics = loss_fn(xs, model)
    optimizer.tell(candidate, loss.item())
    return loss.detach(), detached(metrics)


@dataclass
class CandidateStepper(CustomStepper):
    """Try one candidate on the batch of each step.

    Args:
        function: Tries a candidate: `ask_tell_step`, or a user's function called like it.
    """

    def take(self, batches: Sequence[Any]) -> StepOutcome:
        """Try a candidate; if its batch is skipped, it ranks last."""
        results, tried = self._try(batches)
        if not tried:
            self.optimizer.tell(self.optimizer.ask(), nan)
        return results, tried

    def _try(self, batches: Sequence[Any]) -> StepOutcome:
        if self.function is not ask_tell_step:
            return super().take(batches)
        parts = self.model, self.optimizer, self.loss_fn
        try:
            return [ask_tell_step(*parts, batches[0], self.device, self.dtype)], True
        except SkipBatch:
            return [None], False

    def settle(self) -> None:
        """Write the best candidate so far to the model."""
        if self.optimizer.best is not None:
            write_vector(self.optimizer.params, self.optimizer.best)

    def report_skipped(self, skipped: int, batches: int, epoch: int) -> None:
        """Warn if no candidate had a finite loss; once there is one, bad ones are expected."""
        if self.optimizer.best is None:
            warn_user(
                f"Epoch {epoch}: no candidate so far has a finite loss. Check the data, and where "
                "the search starts."
            )


def check_search_settings(config: TrainConfig) -> None:
    """Refuse settings that need gradients.

    Raises:
        ConfigError: Some are not at their defaults.
    """
    default = type(config)()
    changed = [
        f"{field.name}={getattr(config, field.name)!r}"
        for field in fields(config)
        if field.name in _GRADIENT_SETTINGS
        and getattr(config, field.name) != getattr(default, field.name)
    ]
    if changed:
        raise ConfigError(
            f"{', '.join(changed)}: has no effect without gradients. Leave it out, or use an "
            "optimizer that follows gradients."
        )
