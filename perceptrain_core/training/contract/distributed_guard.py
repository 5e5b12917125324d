"""The non-finite guard of several processes, which stop and skip together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.engine import Engine
from perceptrain_core.errors import LossContractError
from perceptrain_core.training.contract.loss_contract import no_graph
from perceptrain_core.training.contract.nonfinite_errors import find_nonfinite, nonfinite_error
from perceptrain_core.training.contract.nonfinite_guard import LossGuard
from perceptrain_core.training.stop_signals import StopSignals
from perceptrain_core.types import LossFunction, Metrics, SkipBatch


@dataclass
class _Fault:
    """What is wrong with the loss of one process."""

    constant: bool = False
    nonfinite: str | None = None
    skipped: bool = False


class DistributedLossGuard(LossGuard):
    """Stop all processes at the step at which one has to stop.

    That is at a loss that is not finite or a constant, or a signal: a process that left alone
    would keep the others waiting. A batch that one process skips is skipped by all.

    Args:
        engine: Connects the processes.
        signals: The signals of this process; a signal to any process is recorded here.
        loss_fn: The loss.
        policy: ``"raise"``, ``"skip"`` or ``"ignore"``.
        where: Returns the position in the run, for messages.

    Attributes:
        defers: Whether a fault only raises `SkipBatch` in this process, because the caller
            reports `has_fault` to the others, and calls `agree` if any process has one.
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
        self._ignore, self.watches = not self.watches, True
        self._own = _Fault()
        self.defers = False

    def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the loss, see `LossGuard`; all processes raise the same errors."""
        self._own = _Fault()
        return super().__call__(batch, model)

    @property
    def has_fault(self) -> bool:
        """Whether this process has a reason to stop, or to skip its batch."""
        return self._signals.caught is not None or self._own != _Fault()

    def agree(self, model: nn.Module) -> None:
        """Stop or skip in all processes where one has to; all processes call it.

        Raises:
            LossContractError: The loss of a process is a constant.
            NonFiniteLossError: It is NaN or infinite, and the policy is ``"raise"``.
            SkipBatch: It is, and the policy is ``"skip"``; or it raised this.
        """
        everywhere = self._engine.gather((self._signals.caught, self._own))
        self._signals.received = next((signal for signal, _ in everywhere if signal), None)
        for rank, (_, fault) in enumerate(everywhere):
            where = f"{self._where()} of process {rank}"
            if fault.constant:
                raise LossContractError(no_graph(where))
            if fault.skipped or (fault.nonfinite is not None and self._policy == "skip"):
                raise SkipBatch
            if fault.nonfinite is not None:
                raise nonfinite_error(fault.nonfinite, where, model)

    def _evaluate(self, batch: Any, model: nn.Module) -> Any:
        try:
            return super()._evaluate(batch, model)
        except SkipBatch:
            self._report(_Fault(skipped=True), model)
            raise

    def _refuse_constant(self) -> None:
        """Leave it to `_check_finite`, where all processes learn of it."""

    def _check_finite(self, loss: Tensor, metrics: Metrics, model: nn.Module) -> None:
        constant = not loss.requires_grad and torch.is_grad_enabled()
        bad = not constant and not (self._ignore or isfinite(loss.item()))
        self._report(_Fault(constant, find_nonfinite(loss, metrics) if bad else None), model)

    def _report(self, own: _Fault, model: nn.Module) -> None:
        """Tell all processes what is wrong in this one, or leave that to the caller."""
        self._own = own
        if not self.defers:
            if self._engine.any(self.has_fault):
                self.agree(model)
        elif own != _Fault():
            raise SkipBatch
