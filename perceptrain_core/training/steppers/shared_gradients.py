"""The gradients of a step whose batches are in several processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from perceptrain_core.counts import has_own_terms, loss_count, with_counts
from perceptrain_core.engine import Engine
from perceptrain_core.engine.joint_loss import JointLoss
from perceptrain_core.engine.sharded_loss import ShardedLoss
from perceptrain_core.errors import LossContractError, TrainingError
from perceptrain_core.tensors import detached
from perceptrain_core.training.contract.distributed_guard import DistributedLossGuard
from perceptrain_core.training.steppers.pooling import BatchWeights, pooled_loss, shared_loss
from perceptrain_core.types import Count, Metrics, SkipBatch, StepResult

Joint = JointLoss | ShardedLoss

_SOME_TERMS = (
    "The loss has terms with counts of their own in some processes, but none in others. Return "
    "Counted with the same terms in all of them; a term to which no row of a batch belongs has the "
    "count 0."
)
_MIXED = (
    "The terms of some batches of a step are means over numbers in other proportions than those of "
    'others, which accumulate cannot weight with strategy="fsdp". Set accumulate=1, or train with '
    'strategy="ddp".'
)


@dataclass
class SharedGradients:
    """Differentiate the batches of all processes as one batch with the rows of all.

    What the processes have to know of each other travels with the gradients, once a step: whether
    one has to stop or to skip a batch, and how many rows each has. If the terms of a loss have
    means of their own, each term has a weight, and both are exchanged before the backward pass.

    Args:
        engine: Connects the processes.
        model: The model.
        backward: Differentiates a loss.
        gradients: Returns the gradients.
        clear: Clears them.

    Attributes:
        unit: The rows of a batch that has the weight 1: the mean of the processes' first batches,
            so that equal batches have no weights. ``None`` before the first batch, and if its loss
            is a sum.
        has_terms: Whether the terms of the loss have means of their own; ``None`` before the first
            batch.
        has_compared: Whether the processes have compared the names of their terms.
    """

    engine: Engine
    model: nn.Module
    backward: Callable[[Tensor], None]
    gradients: Callable[[], list[Tensor]]
    clear: Callable[[], None]
    unit: float | None = None
    has_terms: bool | None = None
    has_compared: bool = False

    def compute(
        self,
        joint: Joint,
        batches: Sequence[Any],
        moved: Callable[[Any], Any],
        uneven: bool,
    ) -> list[StepResult | None] | None:
        """Set the gradients of a step, which has as many batches in each process.

        Args:
            joint: The loss.
            batches: The batches of this process.
            moved: Returns a batch on the device.
            uneven: Whether their losses must be differentiated together, see `is_uneven`.

        Returns:
            The result of each batch, ``None`` for one that any process skips. ``None`` alone if the
            step has to be repeated with ``uneven``, in all processes.

        Raises:
            LossContractError: The loss of a process is a constant, or only some batches have terms.
            NonFiniteLossError: The loss of a process is NaN or infinite, and must not be.
            TrainingError: The step would have to be repeated, and the model is sharded.
        """
        if self.has_terms is False and joint.carries:
            results = self._carried(joint, batches, moved)
            if results is not None:
                return results
            self.clear()
        if len(batches) == 1:
            return [self._exchanged(joint, moved(batches[0]))]
        return self._pooled(joint, map(moved, batches), uneven)

    def _exchanged(self, joint: Joint, batch: Any) -> StepResult | None:
        """Differentiate a batch, and exchange everything before the backward pass."""
        try:
            loss, metrics = joint.alone(batch, self.model)
        except SkipBatch:
            return None
        self._look_at_first(metrics, batch)
        shared = shared_loss(loss, metrics, batch, self.engine, not self.has_compared)
        self.has_compared = True
        joint.start_sum()
        self.backward(shared)
        joint.sum_gradients()
        return loss.detach(), detached(metrics)

    def _pooled(self, joint: Joint, batches: Any, uneven: bool) -> list[StepResult | None] | None:
        """Differentiate several batches, and exchange everything before the gradients."""
        # Shards of gradients have to be divided after the exchange, by the same in all processes.
        weights = BatchWeights(self.engine, uneven, None if joint.carries else 1.0)
        results: list[StepResult | None] = []
        for batch in batches:
            try:
                loss, metrics = joint.alone(batch, self.model)
            except SkipBatch:
                results.append(None)
                continue
            self._look_at_first(metrics, batch)
            weighted = weights.add(loss, metrics, batch)
            if weighted is not None:
                self.backward(weighted)
            results.append((loss.detach(), detached(metrics)))
        if any(results):
            if weights.is_mixed():
                if not joint.carries:
                    raise TrainingError(_MIXED)
                return None
            if weights.waiting:
                pooled = pooled_loss(weights.waiting, self.engine, not self.has_compared)
                self.has_compared = True
                self.backward(pooled)
            # Only now is it known which batches count.
            if joint.carries:
                weights.divide(self.gradients())
            joint.sum_gradients()
            if not joint.carries:
                weights.divide(self.gradients())
        return results

    def _look_at_first(self, metrics: Metrics, batch: Any) -> None:
        if self.has_terms is not None:
            return
        self.has_terms = has_own_terms(with_counts(metrics))
        count = loss_count(with_counts(metrics), batch)
        is_mean = not self.has_terms and count is not None
        numbers = self.has_terms, is_mean, count if is_mean and count is not None else 0
        with_terms, means, rows = map(float, self.engine.totals(numbers))
        if 0 < with_terms < self.engine.world_size:
            raise LossContractError(_SOME_TERMS)
        if means:
            self.unit = rows / means or None

    def _carried(
        self, joint: Joint, batches: Sequence[Any], moved: Callable[[Any], Any]
    ) -> list[StepResult | None] | None:
        """Exchange everything with the gradients; return ``None`` if a loss has terms."""
        guard = cast(DistributedLossGuard, joint.step_loss)
        carried = _Carried(self, joint, len(batches))
        with guard.deferring():
            results = [carried.add(moved(batch)) for batch in batches]
        excess = float(carried.weight) / self.engine.world_size
        faults, excess, terms = joint.sum_gradients([guard.has_fault, excess, carried.has_terms])
        skipped = guard.agree(self.model) if faults else set()
        if skipped:
            return self._without(skipped, joint, batches, moved)
        if terms:  # for the first time
            self.has_terms = True
            return None
        if excess not in (0, -1):
            torch._foreach_div_(self.gradients(), 1 + excess)
        return results

    def _without(
        self,
        skipped: set[int],
        joint: Joint,
        batches: Sequence[Any],
        moved: Callable[[Any], Any],
    ) -> list[StepResult | None] | None:
        """Compute a step again without the batches that a process skips: that is rare."""
        self.clear()
        kept = [batch for number, batch in enumerate(batches) if number not in skipped]
        results = self._carried(joint, kept, moved) if kept else []
        if results is None:
            return None
        rest = iter(results)
        return [None if number in skipped else next(rest) for number in range(len(batches))]


class _Carried:
    """The batches of a step in this process, differentiated one by one.

    Args:
        shared: The step.
        joint: The loss.
        batches: How many batches there are.

    Attributes:
        weight: By how much the mean weight of the batches exceeds 1.
        has_terms: Whether the terms of a loss have means of their own.
    """

    def __init__(self, shared: SharedGradients, joint: Joint, batches: int) -> None:
        self._shared, self._joint = shared, joint
        self._left = self._batches = batches
        self.weight: Count = 0.0
        self.has_terms = False

    def add(self, batch: Any) -> StepResult | None:
        """Differentiate a batch; return ``None`` if the loss raised `SkipBatch`."""
        self._left -= 1
        try:
            loss, metrics = self._joint.alone(batch, self._shared.model)
        except SkipBatch:
            return None
        if has_own_terms(with_counts(metrics)):
            self.has_terms = True
            return None
        weighted = self._weighted(loss, metrics, batch)
        if not self._left:
            self._joint.start_sum()
        self._shared.backward(weighted)
        return loss.detach(), detached(metrics)

    def _weighted(self, loss: Tensor, metrics: Metrics, batch: Any) -> Tensor:
        """Return what to differentiate, so that the sum over all batches is the mean."""
        count = loss_count(with_counts(metrics), batch)
        if count is None:
            return loss
        weight = count / (self._shared.unit or 1.0)
        self.weight = self.weight + (weight - 1) / self._batches
        return loss * (weight / (self._batches * self._shared.engine.world_size))
