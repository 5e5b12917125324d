"""A loss whose model is sharded, in the place of a `JointLoss`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from perceptrain_core.engine.exchange import broadcast_tensors
from perceptrain_core.engine.fully_sharded import FullySharded, InnerBackward
from perceptrain_core.engine.gradient_sum import GradientSum
from perceptrain_core.errors import TrainingError
from perceptrain_core.random_state import get_random_state, set_random_state
from perceptrain_core.tensors import is_sharded
from perceptrain_core.types import LossFunction, Metrics, SkipBatch

Result = tuple[Tensor, Metrics]

_OF_SHARDS = ("DTensor", "DeviceMesh", "storage of size 0", "torch.func", "functorch", "vmap")

_OPTION = "reshard_after_forward=False"


class ShardedLoss:
    """A loss whose gradients are added up over all processes, each of which gets a share.

    If parameters are dropped between forward and backward pass, all processes have to use the same
    modules in the same order. The first batch shows whether the loss allows that: if it
    differentiates the output of the model, or uses parameters without their modules, the parameters
    are kept during each step from then on.

    Args:
        step_loss: The loss, as the training loop calls it.
        sharded: The model.
        buffers: Buffers to synchronize across processes at each call.
        loss_fn: The loss of the user; its state is restored if the first batch is evaluated again.

    Attributes:
        step_loss: The loss.
        carries: False: faults and counts have to be exchanged before the backward pass.
    """

    carries = False

    def __init__(
        self,
        step_loss: LossFunction,
        sharded: FullySharded,
        buffers: list[Tensor],
        loss_fn: Any = None,
    ) -> None:
        self.step_loss = step_loss
        self._sharded, self._buffers = sharded, buffers
        self._loss_fn = loss_fn
        stateful = hasattr(loss_fn, "load_state_dict")
        self._state = deepcopy(self._loss_fn.state_dict()) if stateful else None
        self._others = GradientSum(sharded.others) if sharded.others else None
        self._tried, self._started = False, False
        #: Forwarded, for losses that count optimizer steps.
        self.begin_step = getattr(step_loss, "begin_step", None)

    def __call__(self, batch: Any, model: nn.Module) -> Result:
        """Refuse a step of the user, whose backward pass may happen anywhere.

        Raises:
            TrainingError: Always.
        """
        raise TrainingError(
            'An optimize_step of your own cannot train a sharded model: use strategy="ddp", or the '
            "built-in step."
        )

    def alone(self, batch: Any, model: nn.Module) -> Result:
        """Evaluate the loss in this process; its backward pass exchanges no gradients by itself.

        Raises:
            TrainingError: The parameters are dropped between forward and backward pass, and the
                loss does not allow it, or skips a batch.
        """
        broadcast_tensors(self._buffers)
        if not self._sharded.reshards:
            return self._evaluated(batch, model)
        first, self._tried = not self._tried, True
        restore = self._snapshot() if first else None
        try:
            return self._evaluated(batch, model)
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            if not needs_whole(error):
                raise
            if not first:
                raise TrainingError(
                    "The loss differentiates the output of the model, or uses parameters without "
                    f"their module, but not in its first batch. Set {_OPTION}."
                ) from error
        self._sharded.keep_whole()
        if restore is not None:
            restore()
        return self._evaluated(batch, model)

    def _snapshot(self) -> Callable[[], None]:
        """Return a function that undoes what an evaluation changes."""
        random = get_random_state()
        buffers = [buffer.clone() for buffer in self._buffers]

        def restore() -> None:
            set_random_state(random)
            for buffer, value in zip(self._buffers, buffers, strict=True):
                buffer.copy_(value)
            if self._state is not None:
                self._loss_fn.load_state_dict(self._state)
            if self.begin_step is not None:
                self.begin_step()

        return restore

    def _evaluated(self, batch: Any, model: nn.Module) -> Result:
        return evaluate(self._sharded, self.step_loss, batch, model)

    def start_sum(self) -> None:
        """Exchange gradients while the coming backward pass computes them, until `sum_gradients`.

        That pass has to be the last before. Without this, all are exchanged at the end.
        """
        if self._sharded.reshards:
            self._started = True
            self._sharded.synchronize(True)
        if self._others is not None:
            self._others.start()

    def sum_gradients(self, numbers: Sequence[float] = ()) -> list[float]:
        """Replace the gradients by this process's share of their sums over all processes.

        Each process has to call it, even if it has no gradients.

        Args:
            numbers: As many in each process.

        Returns:
            The sums of the numbers over all processes.
        """
        sharded = self._sharded
        used = [] if sharded.reshards else sharded.used()
        sums = self._total([*numbers, *map(float, used)])
        if not sharded.reshards:
            sharded.complete([bool(total) for total in sums[len(numbers) :]])
        if self._started:
            sharded.synchronize(False)
        else:
            sharded.flush()
        self._started = False
        sharded.reshard()
        if self._others is not None:
            self._others.finish()
        return sums[: len(numbers)]

    def _total(self, numbers: list[float]) -> list[float]:
        if not numbers:
            return []
        device = self._sharded.device
        totals = torch.tensor(numbers, dtype=torch.float64, device=device)
        dist.all_reduce(totals)
        return totals.tolist()


def evaluate(sharded: FullySharded, loss_fn: LossFunction, batch: Any, model: nn.Module) -> Result:
    """Call a loss inside the root of a sharded model; after an error the model is sharded again."""
    found: list[Result] = []
    failed: list[Exception] = []

    def compute() -> list[Tensor]:
        try:
            loss, metrics = loss_fn(batch, model)
            require_whole(loss, metrics)
            if loss._is_view():  # which fully_shard warns of
                loss = loss.clone()
            found.append((loss, metrics))
            return [each for each in (loss, *metrics.values()) if _is_result(each)]
        except Exception as error:  # the hooks of the root have to run in any case
            failed.append(error)
            return []

    try:
        sharded.evaluate(compute)
        if failed:
            raise failed[0]
    except SkipBatch:
        sharded.reshard()
        raise
    except Exception:
        sharded.recover()
        raise
    return found[0]


def require_whole(loss: Tensor, metrics: Metrics) -> None:
    """Check that no result of a loss is a ``DTensor``.

    Raises:
        InnerBackward: One is: the loss needs whole parameters.
    """
    if any(map(is_sharded, (loss, *metrics.values()))):
        raise InnerBackward("the loss uses parameters without their module: DTensor")


def _is_result(value: Any) -> bool:
    """Whether a value is computed, and may be differentiated."""
    return isinstance(value, Tensor) and value.grad_fn is not None and not value._is_view()


def needs_whole(error: Exception) -> bool:
    """Whether an error says that a parameter was not whole when it was used."""
    text = str(error)
    return isinstance(error, InnerBackward) or any(word in text for word in _OF_SHARDS)
