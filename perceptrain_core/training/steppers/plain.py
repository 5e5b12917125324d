"""The usual step: one batch, one process, and the gradients as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perceptrain_core.backward import backward
from perceptrain_core.tensors import detached
from perceptrain_core.training.steppers.base import StepOutcome
from perceptrain_core.training.steppers.gradients import GradientStepper, clear_gradients
from perceptrain_core.types import SkipBatch


class PlainStepper(GradientStepper):
    """Take the step of `GradientStepper` with its defaults, without asking for its options."""

    def take(self, batches: Sequence[Any]) -> StepOutcome:
        """Compute the gradients of the batch, and update the parameters."""
        (batch,) = batches
        begin = getattr(self.loss_fn, "begin_step", None)
        if begin is not None:
            begin()
        batch = self.moved(batch)
        clear_gradients(self.optimizer)
        try:
            loss, metrics = self.loss_fn(batch, self.model)
        except SkipBatch:
            return [None], False
        backward(loss)
        # Before the update, which may change tensors that the metrics share.
        result = loss.detach(), detached(metrics)
        self.optimizer.step()
        return [result], True
