"""Steps by a user's own ``optimize_step``."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from perceptrain_core.data.support.graphs import as_leaves
from perceptrain_core.errors import TrainingError
from perceptrain_core.tensors import detached
from perceptrain_core.training.contract.loss_contract import check_result
from perceptrain_core.training.steppers.base import StepOutcome, Stepper, begin_step
from perceptrain_core.types import OptimizeStep, SkipBatch

_SIGNATURE = "optimize_step(model, optimizer, loss_fn, xs, device=None, dtype=None)"


@dataclass
class CustomStepper(Stepper):
    """Call a user's function for each step, on one batch.

    Args:
        function: Called as ``f(model, optimizer, loss_fn, xs, device=..., dtype=...)``; returns
            the loss and the metrics.
    """

    function: OptimizeStep = field(kw_only=True)

    def take(self, batches: Sequence[Any]) -> StepOutcome:
        """Call the function, and check and detach what it returns.

        Raises:
            LossContractError: It returned something other than a loss and metrics.
        """
        begin_step(self.loss_fn)
        parts = self.model, self.optimizer, self.loss_fn
        batch = as_leaves(batches[0], self.optimizer)
        try:
            result = self.function(*parts, batch, device=self.device, dtype=self.dtype)
        except SkipBatch:
            return [None], False
        check_result(result)
        return [(result[0].detach(), detached(result[1]))], True


def check_step_function(step: Any) -> OptimizeStep:
    """Check that a user's ``optimize_step`` can be called as the trainer will call it.

    Raises:
        TrainingError: It cannot.
    """
    if not callable(step):
        raise TrainingError(f"Expected a function {_SIGNATURE}, got {type(step).__name__}.")
    try:
        inspect.signature(step).bind(None, None, None, None, device=None, dtype=None)
    except TypeError as error:
        raise TrainingError(f"optimize_step cannot be called as {_SIGNATURE}: {error}.") from None
    except ValueError:
        pass  # a function written in C may have no signature
    return step  # type: ignore[no-any-return]
