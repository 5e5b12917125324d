"""The loss watched in several processes."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

from torch import Tensor, nn

from perceptrain_core.engine import Engine
from perceptrain_core.training.contract.loss_contract import find_nonfinite
from perceptrain_core.training.contract.nonfinite_guard import LossGuard, nonfinite_error
from perceptrain_core.training.stop_signals import StopSignals
from perceptrain_core.types import LossFunction, Metrics, SkipBatch


class SharedLossGuard(LossGuard):
    """Watch in several processes: what stops one stops all, at the same step.

    That is a loss that is not finite, or a signal, which must not leave the others waiting.

    Args:
        engine: Connects the processes.
        signals: Those of this process; it is told here which one has come to any of them.
        loss_fn: The loss.
        policy: ``"raise"``, ``"skip"`` or ``"ignore"``.
        where: Gives the position in the run, for messages.
    """

    def __init__(
        self,
        engine: Engine,
        signals: StopSignals,
        loss_fn: LossFunction,
        policy: str,
        where: Callable[[], str],
    ) -> None:
        super().__init__(loss_fn, policy, where)
        self._engine = engine
        self._signals = signals
        self._ignore, self._watch = not self._watch, True

    def _check_finite(self, loss: Tensor, metrics: Metrics, model: nn.Module) -> None:
        finite = self._ignore or isfinite(loss.item())
        heard = self._signals.heard
        if not self._engine.any(heard is not None or not finite):
            return
        what = None if finite else find_nonfinite(loss, metrics)
        every = self._engine.gather((heard, what))
        self._signals.received = next((heard for heard, _ in every if heard), None)
        bad = [(rank, what) for rank, (_, what) in enumerate(every) if what is not None]
        if not bad:
            return
        if self._policy == "skip":
            raise SkipBatch
        rank, what = bad[0]
        raise nonfinite_error(what, f"{self._where()} of process {rank}", model)
