"""Steps by captured programs, and eager ones where a step cannot be captured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from perceptrain_core.capture.captures import Captures
from perceptrain_core.training.contract.nonfinite_guard import LossGuard
from perceptrain_core.training.steppers.base import StepOutcome, begin_step
from perceptrain_core.training.steppers.gradients import AdaptiveStepper, clear_gradients
from perceptrain_core.types import LossFunction, SkipBatch, StepResult


@dataclass
class CapturedStepper(AdaptiveStepper):
    """Take steps by captured programs.

    Args:
        captures: The programs: of whole steps, or of the loss with its gradients, which the loss
            then uses itself.
        whole: Whether they are of whole steps.
    """

    captures: Captures = field(kw_only=True)
    whole: bool = field(kw_only=True)

    def take(self, batches: Sequence[Any]) -> StepOutcome:
        """Take a captured step, or else an eager one."""
        if not self.whole:
            return super().take(batches)
        guard = cast(LossGuard, self.loss_fn)
        begin_step(guard)
        (batch,) = map(self.moved, batches)
        if guard.is_first and not self._passes(guard, batch):
            self.captures.has_started = True
            return self.take_begun([batch])
        outcome = self.captures.take(batch)
        if outcome is None:
            return self.take_begun([batch])
        loss, metrics, trained, gradients, others = outcome
        if guard.watches:
            try:
                guard.require_finite(loss, metrics, batch, self.model)
            except SkipBatch:
                clear_gradients(self.optimizer)
                return [None], False
            except Exception:
                clear_gradients(self.optimizer)
                raise
            if self.skip_nonfinite and not others[-1]:  # a gradient is NaN or infinite
                return [None], False
        if self.measures_norm:
            self.grad_norm = others[0]
        for parameter, gradient in zip(trained, gradients, strict=True):
            parameter.grad = gradient
        return [(loss, metrics)], True

    def _passes(self, guard: LossGuard, batch: Any) -> bool:
        """Whether the step may be captured, and the first batch passes the checks of the guard."""
        if not self.captures.is_ready():
            return False
        try:
            self.captures.try_out(lambda copied: guard(copied, self.model), batch)
        except Exception:  # which the eager step raises again
            guard.is_first = True
            return False
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return how often each kind of step was seen, which decides what is captured."""
        return {**super().state_dict(), **self.captures.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self.captures.load_state_dict(state)

    def summary(self) -> str | None:
        """Return what compiling cost and gained."""
        return self.captures.costs.summary()


class CapturedLoss:
    """A loss whose value and gradients come from captured programs; else it is the loss itself.

    Args:
        loss_fn: The loss; all other attributes are its own.
        captures: The programs.
    """

    def __init__(self, loss_fn: LossFunction, captures: Captures) -> None:
        self._loss_fn, self._captures = loss_fn, captures

    def __call__(self, batch: Any, model: nn.Module) -> StepResult:
        """Evaluate the loss."""
        outcome = self._captures.take(batch) if torch.is_grad_enabled() else None
        if outcome is None:
            return self._loss_fn(batch, model)
        loss = _Known.apply(outcome.loss, outcome.gradients, *outcome.trained)  # type: ignore[no-untyped-call]
        return loss, outcome.metrics

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # not set yet while a copy is being created
            raise AttributeError(name)
        return getattr(self._loss_fn, name)


class _Known(torch.autograd.Function):
    """A loss with gradients that are known already."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: Sequence[Tensor], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, scale: Tensor) -> Any:
        return None, None, *torch._foreach_mul(ctx.gradients, scale)
