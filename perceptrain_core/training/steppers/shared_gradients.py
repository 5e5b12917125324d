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
from perceptrain_core.training.steppers.pooling import shared_loss
from perceptrain_core.types import Count, Metrics, StepResult


@dataclass
class SharedGradients:
    """Differentiate one batch in each process, as one batch with the rows of all.

    What the processes have to know of each other travels with the gradients: whether one has to
    stop or to skip its batch, and how many rows each has. If the terms of a loss have means of
    their own, each term has a weight, and both are exchanged before the backward pass.

    Args:
        engine: Connects the processes.
        model: The model.
        backward: Differentiates a loss.
        gradients: Returns the gradients.
        carries: Whether numbers can travel with the gradients: not if these are scaled.

    Attributes:
        unit: The rows of a batch that has the weight 1: the mean of the processes' first batches,
            so that equal batches have no weights. ``None`` before the first batch, and if its loss
            is a sum.
        has_terms: Whether the terms of the loss have means of their own; ``None`` before the first
            batch.
    """

    engine: Engine
    model: nn.Module
    backward: Callable[[Tensor], None]
    gradients: Callable[[], list[Tensor]]
    carries: bool = True
    unit: float | None = None
    has_terms: bool | None = None

    def compute(self, joint: JointLoss, batch: Any) -> StepResult:
        """Set the gradients; return the loss and the metrics.

        Raises:
            LossContractError: The loss of a process is a constant.
            NonFiniteLossError: The loss of a process is NaN or infinite, and must not be.
            SkipBatch: All processes skip their batch.
        """
        if self.carries and self.has_terms is False:
            return self._carried(joint, batch)
        return self._exchanged(joint, batch)

    def _exchanged(self, joint: JointLoss, batch: Any) -> StepResult:
        """Exchange everything before the backward pass."""
        loss, metrics = joint(batch, self.model)
        if self.has_terms is None:
            self._look_at_first(metrics, batch)
        self.backward(shared_loss(loss, metrics, batch, self.engine))
        return loss, metrics

    def _look_at_first(self, metrics: Metrics, batch: Any) -> None:
        self.has_terms = has_own_terms(with_counts(metrics))
        count = loss_count(with_counts(metrics), batch)
        if not self.has_terms and count is not None:
            (rows,) = self.engine.totals([count])
            self.unit = float(rows) / self.engine.world_size or None

    def _carried(self, joint: JointLoss, batch: Any) -> StepResult:
        """Exchange everything with the gradients."""
        guard = cast(DistributedLossGuard, joint.step_loss)
        guard.defers = True
        try:
            result = joint.carrying(batch, self.model)
        finally:
            guard.defers = False
        has_terms = result is not None and has_own_terms(with_counts(result[1]))
        loss, weight = (None, 1.0) if result is None or has_terms else self._weighted(result, batch)
        self.backward(joint.load(loss, [guard.has_fault, weight - 1, has_terms]))
        faults, excess, terms = joint.unload()
        if faults > 0:
            guard.agree(self.model)
        if terms > 0:  # for the first time
            self.has_terms = True
            torch._foreach_zero_(self.gradients())
            return self._exchanged(joint, batch)
        if excess not in (0, -1):
            torch._foreach_div_(self.gradients(), 1 + excess)
        assert result is not None  # a batch that was skipped here is a fault
        return result

    def _weighted(self, result: StepResult, batch: Any) -> tuple[Tensor, Count]:
        """Return what to differentiate, and the weight it has there that a mean must undo."""
        loss, metrics = result
        count = loss_count(with_counts(metrics), batch)
        if count is None:
            return loss * self.engine.world_size, 1.0
        weight = count / (self.unit or 1.0)
        return (loss if weight == 1 else loss * weight), weight
