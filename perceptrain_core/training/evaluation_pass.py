"""How the batches of a validation or a test are evaluated, while the model is whole or sharded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Protocol

from torch import nn

from perceptrain_core.engine import Engine
from perceptrain_core.engine.fully_sharded import FullySharded
from perceptrain_core.engine.sharded_loss import evaluate, needs_whole
from perceptrain_core.errors import TrainingError
from perceptrain_core.random_state import get_random_state, kept_random_state, set_random_state
from perceptrain_core.types import LossFunction, SkipBatch, StepResult

_END = object()


class EvaluationPass(Protocol):
    """One pass over data, inside a ``with`` block."""

    model: nn.Module

    def __enter__(self) -> object: ...

    def __exit__(self, *error: Any) -> None: ...

    def batches(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yield the batches of this process."""
        ...

    def call(self, loss_fn: LossFunction, batch: Any) -> StepResult:
        """Return what a loss returns for a batch and the model."""
        ...


def make_pass(
    engine: Engine, model: nn.Module, loss_fn: LossFunction, seen: bool
) -> EvaluationPass:
    """Choose how to evaluate.

    Args:
        engine: Connects the processes.
        model: The model to evaluate: that of the run, or its average.
        loss_fn: The loss.
        seen: Whether hooks or callbacks may use the model between two batches.
    """
    sharded = engine.sharded
    if sharded is None or sharded.is_whole:
        return WholePass(model, nullcontext())
    if seen or sharded.evaluates_whole or not sharded.reshards:
        return WholePass(model, sharded.whole())
    return ShardedPass(engine, sharded, model, loss_fn)


class WholePass:
    """Evaluate a model that each process has.

    Args:
        model: The model.
        weights: Makes its parameters whole.
    """

    def __init__(self, model: nn.Module, weights: AbstractContextManager[None]) -> None:
        self.model, self._weights = model, weights

    def __enter__(self) -> None:
        """Make the parameters whole."""
        self._weights.__enter__()

    def __exit__(self, *error: Any) -> None:
        """Shard them again, if they were."""
        self._weights.__exit__(*error)

    def batches(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yield the batches."""
        yield from batches

    def call(self, loss_fn: LossFunction, batch: Any) -> StepResult:
        """Call the loss."""
        return loss_fn(batch, self.model)


class ShardedPass:
    """Evaluate a model whose parameters are gathered module by module, while they are used.

    All processes have to evaluate at the same time. One that has no batch left evaluates that of
    another, and forgets the result.

    The first batch shows whether the loss needs whole parameters, as in training. If it does, they
    are whole from then on, in later evaluations, too.

    Args:
        engine: Connects the processes.
        sharded: The model.
        model: The model to evaluate: that of the run, or its average. The values of the average
            are put into the model of the run, shard by shard.
        loss_fn: The loss.
    """

    def __init__(
        self, engine: Engine, sharded: FullySharded, model: nn.Module, loss_fn: LossFunction
    ) -> None:
        self._engine, self._sharded, self._given, self._loss_fn = engine, sharded, model, loss_fn
        self.model = sharded.model
        self._first, self._weights = True, ExitStack()

    def __enter__(self) -> None:
        """Use the values of the average, if that is to be evaluated."""
        if self._given is self._sharded.averaged:
            self._weights.enter_context(self._sharded.average_in_use())
        else:
            self._weights.callback(self._sharded.reshard)

    def __exit__(self, *error: Any) -> None:
        """Shard everything again, and use the values of the model."""
        self._weights.__exit__(*error)

    def batches(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yield the batches of this process, until all processes have none left."""
        own = iter(batches)
        while True:
            batch = next(own, _END)
            having = int(self._engine.totals([float(batch is not _END)])[0])
            if having == 0:
                return
            if having < self._engine.world_size:
                self._share(batch)
            if batch is not _END:
                yield batch

    def _share(self, batch: Any) -> None:
        """Let the processes without a batch evaluate that of another."""
        holders = self._engine.gather(batch is not _END)
        lent = self._engine.broadcast(batch, holders.index(True))
        if batch is not _END:
            return
        with kept_random_state():
            self.call(self._loss_fn, self._engine.place(lent))

    def call(self, loss_fn: LossFunction, batch: Any) -> StepResult:
        """Call the loss.

        Raises:
            TrainingError: It skips the batch, or needs whole parameters, but not for the first.
        """
        if self._sharded.evaluates_whole:
            return loss_fn(batch, self.model)
        first, self._first = self._first, False
        random = get_random_state() if first else None
        try:
            return evaluate(self._sharded, loss_fn, batch, self.model)
        except SkipBatch:
            raise TrainingError(
                "The loss raised SkipBatch in an evaluation, while other processes need the share "
                "of this one for their batches. Set reshard_after_forward=False."
            ) from None
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            if not needs_whole(error):
                raise
            if random is None:
                raise TrainingError(
                    "In an evaluation, the loss uses parameters without their module, but not in "
                    "its first batch. Set reshard_after_forward=False."
                ) from error
        set_random_state(random)
        self._use_whole()
        return loss_fn(batch, self.model)

    def _use_whole(self) -> None:
        training = self.model.training
        self._weights.close()
        self._weights.enter_context(self._sharded.whole(writes=False))
        self._sharded.evaluates_whole = True
        self.model = self._given.train(training)
