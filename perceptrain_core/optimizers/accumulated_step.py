"""One step of optimisation on the gradients of several batches, clipped if that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import Optimizer

from perceptrain_core.data.device import data_to_device
from perceptrain_core.optimizers.step import (
    begin_step,
    clear_gradients,
    needs_closure,
    step_or_undo,
)
from perceptrain_core.tensors import detached
from perceptrain_core.types import LossFunction, SkipBatch, StepResult


class AccumulatedStep:
    """Step on the mean of the gradients of some batches, as one large batch would.

    What takes a closure gets them unclipped, for its line search compares them with the loss.

    A batch whose loss raises `SkipBatch` does not count; if all do, there is no step. Nor is there
    one if a batch that counts does so later in the step, at a trial point of a line search.

    Args:
        max_norm: Scale the gradients down, so that the 2-norm of all of them together is at most
            this; ``None`` leaves them.
        max_value: Clip every element of the gradients to ``[-max_value, max_value]``, after that.
        scaler: Scales the loss, so that gradients of half precision do not vanish; a step whose
            gradients overflow is left out by it. Not for optimizers that need a closure.
    """

    def __init__(
        self,
        max_norm: float | None = None,
        max_value: float | None = None,
        scaler: GradScaler | None = None,
    ) -> None:
        self.max_norm = max_norm
        self.max_value = max_value
        self.scaler = scaler

    def __call__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        loss_fn: LossFunction,
        batches: Sequence[Any],
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> tuple[list[StepResult | None], bool]:
        """Take one step.

        The arguments are those of `optimize_step`, with a sequence of batches in place of one.

        Returns:
            For each batch the loss and the metrics, detached, from before the update, or ``None``
            for one that was left out; and whether there was a step.
        """
        begin_step(loss_fn)
        if not needs_closure(optimizer):
            results = self._gradients(model, optimizer, loss_fn, batches, device, dtype)
            return results, any(results) and self._step(optimizer)
        first: list[StepResult | None] = []

        def closure() -> Tensor:
            # Those that count are chosen once: another mean would be another objective.
            counted = [batches[n] for n, result in enumerate(first) if result] or batches
            results = self._gradients(model, optimizer, loss_fn, counted, device, dtype)
            if not any(results) or (first and not all(results)):
                raise SkipBatch
            if not first:
                first.extend(results)
            return torch.stack([loss for loss, _ in filter(None, results)]).mean()

        try:
            step_or_undo(optimizer, closure)
        except SkipBatch:
            return [None] * len(batches), False
        return first, True

    def _step(self, optimizer: Optimizer) -> bool:
        self._clip(optimizer)
        if self.scaler is None:
            optimizer.step()
            return True
        before = self.scaler.get_scale()
        self.scaler.step(optimizer)
        self.scaler.update()
        return self.scaler.get_scale() >= before  # it is lowered where gradients overflow

    def _gradients(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        loss_fn: LossFunction,
        batches: Sequence[Any],
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> list[StepResult | None]:
        clear_gradients(optimizer)
        results: list[StepResult | None] = []
        for batch in batches:
            try:
                loss, metrics = loss_fn(data_to_device(batch, device, dtype), model)
            except SkipBatch:
                results.append(None)
                continue
            scaled = loss if self.scaler is None else self.scaler.scale(loss)
            scaled.backward()  # type: ignore[no-untyped-call]
            results.append((loss.detach(), detached(metrics)))
        self._take_mean(optimizer, sum(result is not None for result in results))
        return results

    def _take_mean(self, optimizer: Optimizer, count: int) -> None:
        """Make the mean of the sum."""
        if self.scaler is not None and count:
            self.scaler.unscale_(optimizer)
        if count > 1:
            # Here, not in the loss: how many batches count is known only now.
            gradients = [p.grad for p in _parameters(optimizer) if p.grad is not None]
            torch._foreach_div_(gradients, float(count))

    def _clip(self, optimizer: Optimizer) -> None:
        if self.max_norm is not None:
            clip_grad_norm_(_parameters(optimizer), self.max_norm)
        if self.max_value is not None:
            clip_grad_value_(_parameters(optimizer), self.max_value)


def _parameters(optimizer: Optimizer) -> Iterator[nn.Parameter]:
    for group in optimizer.param_groups:
        yield from group["params"]
