"""Which guard a run needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perceptrain_core.config import TrainConfig
from perceptrain_core.engine import Engine
from perceptrain_core.errors import TrainingError
from perceptrain_core.optimizers.ask_tell import is_search
from perceptrain_core.training.contract.distributed_guard import DistributedLossGuard
from perceptrain_core.training.contract.fused_guard import FusedLossGuard
from perceptrain_core.training.contract.nonfinite_guard import CandidateGuard, LossGuard
from perceptrain_core.training.stop_signals import StopSignals
from perceptrain_core.types import LossFunction


def make_guard(
    config: TrainConfig,
    engine: Engine,
    loss_fn: LossFunction,
    optimizer: Any,
    where: Callable[[], str],
    signals: StopSignals,
) -> LossGuard:
    """Choose how a loss is guarded; on a GPU without reading it at every step, where possible.

    With scaled gradients it is not possible: the scaler has a ``found_inf`` of its own.

    Args:
        config: The settings.
        engine: Connects the processes.
        loss_fn: The loss.
        optimizer: The optimizer.
        where: Returns the position in the run, for messages.
        signals: The signals that stop the run.
    """
    policy = config.on_nonfinite
    if is_search(optimizer):
        return CandidateGuard(loss_fn, policy, where)
    if engine.world_size > 1:
        return DistributedLossGuard(engine, signals, loss_fn, policy, where)
    scaled = config.precision == "fp16"
    if policy == "raise" and not scaled and FusedLossGuard.fits(optimizer, engine.device):
        return FusedLossGuard(optimizer, loss_fn, where)
    return LossGuard(loss_fn, policy, where, optimizer)


def require_optimizer(optimizer: Any) -> None:
    """Check that there is an optimizer to train with.

    Raises:
        TrainingError: There is none.
    """
    if optimizer is None:
        raise TrainingError(
            "Training needs an optimizer, and this trainer has optimizer=None: pass one, e.g. "
            "Trainer(model, Adam(model.parameters(), lr=1e-3), config)."
        )
