"""The loss as the trainer calls it: its contract checked on the first batch, NaN on every batch."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import LossContractError, NonFiniteLossError
from perceptrain_core.training.contract.count_checks import made_counts, refuse_empty
from perceptrain_core.training.contract.error_hints import (
    add_call_hint,
    add_hints,
    add_nan_hint,
    add_value_hints,
    refuse_masked_parts,
)
from perceptrain_core.training.contract.loss_contract import (
    check_gradient,
    check_result,
    no_graph,
    warn_of_untrained,
)
from perceptrain_core.training.contract.nonfinite_errors import find_nonfinite, nonfinite_error
from perceptrain_core.training.contract.unused_weights import refuse_weights
from perceptrain_core.types import Counted, LossFunction, Metrics, SkipBatch
from perceptrain_core.value_checks import checking_values


class LossGuard:
    """Call a loss; reject results that break the contract, and stop at NaN or infinity.

    The guard stands between the loss and the stepper, so that any step function, including a
    user's own, is stopped before gradients or parameters see a NaN.

    Args:
        loss_fn: The loss.
        policy: ``"raise"``, ``"skip"`` or ``"ignore"``.
        where: Returns the position in the run, for messages.
        optimizer: The optimizer, if it follows gradients.

    Attributes:
        watches: Whether a loss that is NaN or infinite matters.
        is_first: Whether no batch has been evaluated yet.
        halted: A flag on the device, not 0 after a loss that was not finite, if losses are not read
            at each step: from then on no step may change parameters.
        after_first: Called after the first batch with its metrics, the batch, and the counts made
            for it.
    """

    halted: Tensor | None = None

    def __init__(
        self,
        loss_fn: LossFunction,
        policy: str,
        where: Callable[[], str],
        optimizer: Any = None,
    ) -> None:
        self.loss_fn = loss_fn
        self._optimizer = optimizer
        self.begin_step = getattr(loss_fn, "begin_step", None)
        self._policy = policy
        self.watches = policy != "ignore"
        self._where = where
        self.is_first = True
        self.after_first: Callable[[Metrics, Any, list[Counted]], None] = _nothing

    def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the loss.

        Raises:
            LossContractError: On the first batch, if the result breaks the contract; on any, if the
                loss has no graph.
            NonFiniteLossError: The loss is NaN or infinite, and the policy is ``"raise"``.
            DataError: It is, and the batch has no rows.
            SkipBatch: The loss is NaN or infinite, and the policy is ``"skip"``.
        """
        result = self._evaluate(batch, model)
        if type(result) is not tuple:
            check_result(result)
        loss, metrics = result
        if not loss.requires_grad and torch.is_grad_enabled():
            self._refuse_constant()
        if self.watches:
            self.require_finite(loss, metrics, batch, model)
        return loss, metrics

    def require_finite(self, loss: Tensor, metrics: Metrics, batch: Any, model: nn.Module) -> None:
        """Act as the policy says if a loss is NaN or infinite; ``"ignore"`` is not asked.

        Raises:
            NonFiniteLossError: It is, and the policy is ``"raise"``.
            DataError: It is, and the batch has no rows.
            SkipBatch: It is, and the policy is ``"skip"``.
        """
        try:
            self._check_finite(loss, metrics, model)
        except NonFiniteLossError as error:
            refuse_empty(batch, self._where())
            add_nan_hint(error, batch)
            raise

    def _evaluate(self, batch: Any, model: nn.Module) -> Any:
        try:
            return self._call_first(batch, model) if self.is_first else self.loss_fn(batch, model)
        except (RuntimeError, ValueError) as error:
            add_value_hints(error, batch, model, self._where())
            raise

    def _call_first(self, batch: Any, model: nn.Module) -> Any:
        refuse_masked_parts(batch)
        try:
            with checking_values(), made_counts() as made:
                result = self.loss_fn(batch, model)
        except Exception as error:
            refuse_weights(error, batch, self.loss_fn, model)
            add_hints(error, batch, model)
            add_call_hint(error, batch, model)
            raise
        self._check_first(result, model)
        self.is_first = False
        self.after_first(result[1], batch, made)
        return result

    def _check_first(self, result: Any, model: nn.Module) -> None:
        check_result(result)
        check_gradient(result[0], model)
        warn_of_untrained(result[0], model, self.loss_fn, self._optimizer)

    def _refuse_constant(self) -> None:
        raise LossContractError(no_graph(self._where()))

    def _check_finite(self, loss: Tensor, metrics: Metrics, model: nn.Module) -> None:
        if isfinite(loss.item()):
            return
        if self._policy == "skip":
            raise SkipBatch
        raise self._error(loss, metrics, model)

    def _error(self, loss: Tensor, metrics: Metrics, model: nn.Module) -> NonFiniteLossError:
        return nonfinite_error(find_nonfinite(loss, metrics), self._where(), model)

    def poll(self) -> None:
        """Report losses not checked yet; here each was checked when it was computed."""

    def release(self) -> None:
        """Call ``loss_fn.end_steps()``, if the loss has it: no more steps will be announced."""
        end_steps = getattr(self.loss_fn, "end_steps", None)
        if end_steps is not None:
            end_steps()


class CandidateGuard(LossGuard):
    """Guard a loss that is evaluated without gradients."""

    def _check_first(self, result: Any, model: nn.Module) -> None:
        check_result(result)

    def _error(self, loss: Tensor, metrics: Metrics, model: nn.Module) -> NonFiniteLossError:
        return NonFiniteLossError(
            f"Training stopped {self._where()}: {find_nonfinite(loss, metrics)}. The model holds "
            'the best candidate before it. on_nonfinite="skip" ranks such a candidate last and '
            "goes on."
        )


def _nothing(metrics: Metrics, batch: Any, made: list[Counted]) -> None:
    pass
