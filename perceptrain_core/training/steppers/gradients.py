"""Steps along the gradients of one or several batches, clipped and scaled if configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import nan
from typing import Any, cast

import torch
from torch import Tensor
from torch.amp import GradScaler
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm
from torch.optim import Optimizer

from perceptrain_core.backward import backward
from perceptrain_core.data.support.device import data_to_device
from perceptrain_core.data.support.graphs import as_leaves
from perceptrain_core.engine import Engine
from perceptrain_core.engine.fully_sharded import FullySharded
from perceptrain_core.engine.joint_loss import JointLoss
from perceptrain_core.errors import NonFiniteLossError
from perceptrain_core.optimizer_steps import handles_trials, needs_closure
from perceptrain_core.tensors import detached, local
from perceptrain_core.training.steppers.base import StepOutcome, Stepper, begin_step
from perceptrain_core.training.steppers.closures import step_or_undo
from perceptrain_core.training.steppers.pooling import (
    BatchWeights,
    is_uneven,
    pooled_loss,
)
from perceptrain_core.training.steppers.shared_gradients import SharedGradients
from perceptrain_core.types import SkipBatch, StepResult


@dataclass
class GradientStepper(Stepper):
    """Step on the mean gradient of the batches, as one large batch would.

    Batches count by what their losses are means over, see `Counted`, so that a smaller last batch
    counts less. Skipped batches do not count; if all are skipped, no step is taken.

    Args:
        max_norm: Scale the gradients down so that their total 2-norm is at most this; ``None``
            does not.
        max_value: Then clip every element of the gradients to ``[-max_value, max_value]``.
        scaler: Scales the loss so that half-precision gradients do not underflow. It skips a step
            whose gradients overflow.
        engine: Connects several processes; the loss is then a `JointLoss`.
        skip_nonfinite: Skip a step whose gradients are NaN or infinite, at the cost of their norm.
        measures_norm: Whether to set `grad_norm` at each step.
    """

    max_norm: float | None = None
    max_value: float | None = None
    scaler: GradScaler | None = None
    engine: Engine | None = None
    skip_nonfinite: bool = False
    measures_norm: bool = False
    _norms: Tensor | None = field(default=None, init=False, repr=False)
    _shared: SharedGradients | None = field(default=None, init=False, repr=False)
    _uneven: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        """Share the gradients, if there are several processes."""
        if self.engine is not None:
            parts = self.engine, self.model, self._differentiate, self._gradients
            self._shared = SharedGradients(*parts, partial(clear_gradients, self.optimizer))

    def state_dict(self) -> dict[str, Any]:
        """Return how batches are weighted, and what the weights of processes are relative to."""
        shared, own = self._shared, {"uneven": True} if self._uneven else {}
        return own if shared is None else own | {"unit": shared.unit, "has_terms": shared.has_terms}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._uneven = state.get("uneven", False)
        if self._shared is not None:
            self._shared.unit = state.get("unit")
            self._shared.has_terms = state.get("has_terms")

    def take(self, batches: Sequence[Any]) -> StepOutcome:
        """Compute the gradients, clip them, and update the parameters."""
        begin_step(self.loss_fn)
        return self.take_begun(batches)

    def take_begun(self, batches: Sequence[Any]) -> StepOutcome:
        """Take a step, after `begin_step`."""
        uneven = is_uneven(batches, self.engine)
        results = self.backward(batches, self.moved, uneven)
        if not any(results) or not self._may_step():
            return [None] * len(batches), False
        return results, self._update()

    def moved(self, batch: Any) -> Any:
        """Move a batch to the device; see `as_leaves` for its graphs."""
        return data_to_device(as_leaves(batch, self.optimizer), self.device, self.dtype)

    def backward(
        self, batches: Sequence[Any], moved: Callable[[Any], Any], uneven: bool = False
    ) -> list[StepResult | None]:
        """Set ``.grad`` of the parameters to the mean gradient of the batches.

        Args:
            batches: The batches.
            moved: Returns a batch on the device.
            uneven: Whether their losses must be differentiated together, see `is_uneven`.

        Returns:
            The result of each batch, ``None`` for a skipped one.
        """
        clear_gradients(self.optimizer)
        while (results := self._gradients_of(batches, moved, uneven or self._uneven)) is None:
            # Later steps know it from the start: a repeated one costs twice the time.
            self._uneven = True
            clear_gradients(self.optimizer)
        if self.scaler is not None and any(results):
            self.scaler.unscale_(self.optimizer)
        return results

    def _gradients_of(
        self, batches: Sequence[Any], moved: Callable[[Any], Any], uneven: bool
    ) -> list[StepResult | None] | None:
        """Do the work of `backward`; return ``None`` to be called again with ``uneven``."""
        if self._shared is not None:
            return self._shared.compute(cast(JointLoss, self.loss_fn), batches, moved, uneven)
        if len(batches) == 1:
            return [self._differentiated(moved(batches[0]))]
        weights = BatchWeights(uneven=uneven)
        results = [self._accumulated(moved(batch), weights) for batch in batches]
        if weights.is_mixed():
            return None
        if weights.waiting:
            self._differentiate(pooled_loss(weights.waiting))
        # Only now is it known which batches count.
        weights.divide(self._gradients())
        return results

    def _differentiated(self, batch: Any) -> StepResult | None:
        try:
            loss, metrics = self.loss_fn(batch, self.model)
        except SkipBatch:
            return None
        self._differentiate(loss)
        # Before the update, which may change tensors that the metrics share.
        return loss.detach(), detached(metrics)

    def _accumulated(self, batch: Any, weights: BatchWeights) -> StepResult | None:
        """Differentiate one of several batches."""
        try:
            loss, metrics = self.loss_fn(batch, self.model)
        except SkipBatch:
            return None
        weighted = weights.add(loss, metrics, batch)
        if weighted is not None:
            self._differentiate(weighted)
        return loss.detach(), detached(metrics)

    def _differentiate(self, loss: Tensor) -> None:
        scaled = loss if self.scaler is None else self.scaler.scale(loss)
        backward(scaled)

    def _may_step(self) -> bool:
        """Whether the gradients are finite, if that matters; a scaler checks its own."""
        if not self.skip_nonfinite or self.scaler is not None:
            return True
        if self._sharded is not None:
            self._norms = self._sharded.total_norm()
            return bool(self._norms.isfinite())
        gradients = self._gradients()
        if not gradients:  # the batch reached other parameters only
            return True
        self._norms = torch.stack([norm.double() for norm in torch._foreach_norm(gradients)])
        return bool(self._norms.isfinite().all())

    def _measure_norm(self) -> None:
        norms, self._norms = self._norms, None  # known if they have been checked
        self.grad_norm = self._total_norm() if norms is None else norms.norm()

    @property
    def _sharded(self) -> FullySharded | None:
        return None if self.engine is None else self.engine.sharded

    def _total_norm(self) -> Tensor:
        if self._sharded is not None:
            return self._sharded.total_norm()
        return get_total_norm(self._gradients())

    def _clip(self, max_norm: float) -> None:
        if self._sharded is None:
            clip_grad_norm_(self._parameters(), max_norm)
        else:
            scale = (max_norm / (self._sharded.total_norm() + 1e-6)).clamp(max=1.0)
            for gradient in self._gradients():
                gradient.mul_(scale.to(gradient.dtype))

    def _update(self) -> bool:
        if self.measures_norm:
            self._measure_norm()
        if self.max_norm is not None:
            self._clip(self.max_norm)
        if self.max_value is not None:
            if self._sharded is None:
                clip_grad_value_(self._parameters(), self.max_value)
            for gradient in self._gradients() if self._sharded is not None else ():
                gradient.clamp_(-self.max_value, self.max_value)
        if self.scaler is None:
            self.optimizer.step()
            return True
        before = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return self.scaler.get_scale() >= before  # an overflow lowers the scale

    def _gradients(self) -> list[Tensor]:
        gradients = [p.grad for p in self._parameters() if p.grad is not None]
        return gradients if self._sharded is None else [local(g) for g in gradients]

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]


@dataclass
class ClosureStepper(GradientStepper):
    """Let the optimizer evaluate the loss as often as it needs, as L-BFGS does.

    The gradients are neither clipped nor scaled: a line search compares them with the loss. The
    batches that count are chosen at the first evaluation, since another mean would be another
    objective. If one of them is skipped later, at a trial point of the line search, the step is
    undone, unless the optimizer deals with it, see `handles_trials`.
    """

    def take(self, batches: Sequence[Any]) -> StepOutcome:
        """Call ``optimizer.step`` with a closure."""
        begin_step(self.loss_fn)
        moved, uneven = list(map(self.moved, batches)), is_uneven(batches)
        first: list[StepResult | None] = []

        def closure() -> Tensor:
            counted = [moved[n] for n, result in enumerate(first) if result] or moved
            try:
                results = self.backward(counted, _as_it_is, uneven)
                if not any(results) or (first and not all(results)) or not self._may_step():
                    raise SkipBatch
            except (SkipBatch, NonFiniteLossError):
                if first and handles_trials(self.optimizer):
                    return torch.tensor(nan)
                raise
            if not first:
                first.extend(results)
                if self.measures_norm:
                    self._measure_norm()
            kept = [pair for pair in zip(results, counted, strict=True) if pair[0]]
            return pooled_loss(kept)

        try:
            step_or_undo(self.optimizer, closure)
        except SkipBatch:
            return [None] * len(batches), False
        return first, True


@dataclass
class AdaptiveStepper(ClosureStepper):
    """Take a gradient step or a closure step, whichever the optimizer needs at the moment."""

    def take(self, batches: Sequence[Any]) -> StepOutcome:
        """Ask the optimizer, and step."""
        if needs_closure(self.optimizer):
            return super().take(batches)
        return GradientStepper.take(self, batches)


def _as_it_is(batch: Any) -> Any:
    return batch


def clear_gradients(optimizer: Optimizer) -> None:
    """Set the gradients of all parameters of an optimizer to ``None``."""
    # Optimizer.zero_grad records a profiler event, which takes far longer than the work itself.
    if type(optimizer).zero_grad is not Optimizer.zero_grad:
        optimizer.zero_grad(set_to_none=True)
        return
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
