"""The non-finite guard of several processes, which stop and skip together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.engine import Engine
from perceptrain_core.errors import LossContractError, TrainingError
from perceptrain_core.training.contract.loss_contract import no_graph
from perceptrain_core.training.contract.nonfinite_errors import find_nonfinite, nonfinite_error
from perceptrain_core.training.contract.nonfinite_guard import LossGuard
from perceptrain_core.training.stop_signals import StopSignals
from perceptrain_core.types import LossFunction, Metrics, SkipBatch


@dataclass
class _Fault:
    """What is wrong with the loss of one process; without any of this it raised `SkipBatch`."""

    constant: bool = False
    nonfinite: str | None = None


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
        self._faults: list[_Fault | None] = []
        self._defers = False

    def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the loss, see `LossGuard`; all processes raise the same errors."""
        if not self._defers:
            self._faults.clear()
        self._faults.append(None)
        return super().__call__(batch, model)

    @contextmanager
    def deferring(self) -> Iterator[None]:
        """Only raise `SkipBatch` at a fault, as long as this context lasts.

        The caller reports `has_fault` to the other processes afterwards, and calls `agree` if any
        process has one.
        """
        self._faults.clear()
        self._defers = True
        try:
            yield
        finally:
            self._defers = False

    @property
    def has_fault(self) -> bool:
        """Whether this process has a reason to stop, or to skip a batch."""
        return self._signals.caught is not None or any(self._faults)

    def agree(self, model: nn.Module) -> set[int]:
        """Stop in all processes where one has to; all processes call it.

        Returns:
            Which of the batches evaluated meanwhile all processes skip: those for which the loss of
            a process raised `SkipBatch`, or is NaN or infinite with the policy ``"skip"``.

        Raises:
            LossContractError: The loss of a process is a constant.
            NonFiniteLossError: It is NaN or infinite, and the policy is ``"raise"``.
        """
        everywhere = self._engine.gather((self._signals.caught, self._faults))
        self._signals.received = next((signal for signal, _ in everywhere if signal), None)
        skipped = set()
        for number, faults in enumerate(zip(*(found for _, found in everywhere), strict=True)):
            if self._skips(faults, model):
                skipped.add(number)
        return skipped

    def _skips(self, faults: Sequence[_Fault | None], model: nn.Module) -> bool:
        """Whether a batch is skipped, with what is wrong with it in each process."""
        for rank, fault in enumerate(faults):
            if fault is None:
                continue
            where = f"{self._where()} of process {rank}"
            if fault.constant:
                raise LossContractError(no_graph(where))
            if fault.nonfinite is None or self._policy == "skip":
                return True
            with self._visible():
                raise nonfinite_error(fault.nonfinite, where, model)
        return False

    def _evaluate(self, batch: Any, model: nn.Module) -> Any:
        try:
            return super()._evaluate(batch, model)
        except SkipBatch:
            self._refuse_skip()
            self._report(_Fault(), model)
            raise

    def _refuse_skip(self) -> None:
        """Refuse a batch that this process skips while the others may wait for its parameters."""
        sharded = self._engine.sharded
        if sharded is not None and sharded.reshards:
            raise TrainingError(
                f"The loss raised SkipBatch {self._where()} of process {self._engine.rank}, and "
                "the others need its share of the parameters for their batches. Set "
                'reshard_after_forward=False, or train with strategy="ddp".'
            )

    def _check_first(self, result: Any, model: nn.Module) -> None:
        with self._visible():
            super()._check_first(result, model)

    def _visible(self) -> AbstractContextManager[None]:
        """Make the parameters of a sharded model whole, for a look at them; in all processes."""
        sharded = self._engine.sharded
        return nullcontext() if sharded is None else sharded.visible()

    def _refuse_constant(self) -> None:
        """Leave it to `_check_finite`, where all processes learn of it."""

    def _check_finite(self, loss: Tensor, metrics: Metrics, model: nn.Module) -> None:
        if not loss.requires_grad and torch.is_grad_enabled():
            self._report(_Fault(constant=True), model)
        elif self._ignore or isfinite(loss.item()):
            self._report(None, model)
        else:
            self._report(_Fault(nonfinite=find_nonfinite(loss, metrics)), model)

    def _report(self, own: _Fault | None, model: nn.Module) -> None:
        """Tell all processes what is wrong in this one, or leave that to the caller."""
        self._faults[-1] = own
        if self._defers:
            if own is not None:
                raise SkipBatch
        elif self._engine.any(self.has_fault) and self.agree(model):
            raise SkipBatch
