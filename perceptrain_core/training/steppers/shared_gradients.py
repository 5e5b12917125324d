"""The gradients of a step whose batches are in several processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from perceptrain_core.engine import Engine
from perceptrain_core.engine.joint_loss import JointLoss
from perceptrain_core.training.contract.distributed_guard import DistributedLossGuard
from perceptrain_core.training.counts import has_own_terms, loss_count, with_counts
from perceptrain_core.training.steppers.pooling import count_terms, shared_loss
from perceptrain_core.types import Count, SkipBatch, StepResult


@dataclass
class SharedGradients:
    """Differentiate one batch in each process, as one batch with the rows of all.

    What the processes have to know of each other travels with the gradients: whether one has to
    stop or to skip its batch, and how many rows each has. Only the counts of terms that have means
    of their own are exchanged before, because each term has a weight then.

    Args:
        engine: Connects the processes.
        model: The model.
        backward: Differentiates a loss.
        gradients: Returns the gradients.

    Attributes:
        unit: The rows of a batch that has the weight 1: the mean of the processes' first batches,
            so that equal batches have no weights. ``None`` before the first batch.
        terms: The number of counts that are exchanged, see `count_terms`; ``None`` before the first
            batch.
    """

    engine: Engine
    model: nn.Module
    backward: Callable[[Tensor], None]
    gradients: Callable[[], list[Tensor]]
    unit: float | None = None
    terms: int | None = None

    def compute(self, joint: JointLoss, batch: Any) -> StepResult | None:
        """Set the gradients; return the loss and the metrics, or ``None`` if the batch is skipped.

        Raises:
            LossContractError: The loss of a process is a constant.
            NonFiniteLossError: The loss of a process is NaN or infinite, and must not be.
        """
        if self.terms is None:
            return self._compute_first(joint, batch)
        guard = cast(DistributedLossGuard, joint.step_loss)
        guard.defers = True
        try:
            result = joint.carrying(batch, self.model)
        finally:
            guard.defers = False
        loss, weight = self._weighted(result, batch)
        self.backward(joint.load(loss, [guard.has_fault, weight - 1]))
        faults, excess = joint.unload()
        try:
            if faults > 0:
                guard.agree(self.model)
        except SkipBatch:
            return None
        if excess not in (0, -1):
            torch._foreach_div_(self.gradients(), 1 + excess)
        return result

    def _compute_first(self, joint: JointLoss, batch: Any) -> StepResult | None:
        """Exchange everything on its own: what is to be exchanged is not known yet."""
        try:
            loss, metrics = joint(batch, self.model)
        except SkipBatch:
            return None
        self.terms = count_terms(metrics, batch)
        count = loss_count(with_counts(metrics), batch)
        if self.unit is None and not self.terms and count is not None:
            (rows,) = self.engine.totals([count])
            self.unit = float(rows) / self.engine.world_size or 1.0
        self.backward(shared_loss(loss, metrics, batch, self.engine))
        return loss, metrics

    def _weighted(self, result: StepResult | None, batch: Any) -> tuple[Tensor | None, Count]:
        """Return what to differentiate, and the weight it has there that a mean must undo."""
        if result is None:
            if self.terms:  # the other processes exchange their counts
                self.engine.totals([0.0] * self.terms)
            return None, 1.0
        loss, metrics = result
        if has_own_terms(with_counts(metrics)):
            return shared_loss(loss, metrics, batch, self.engine), 1.0
        count = loss_count(with_counts(metrics), batch)
        if count is None or self.unit is None:
            return loss * self.engine.world_size, 1.0
        weight = count / self.unit
        return (loss if weight == 1 else loss * weight), weight
