"""The loss as the trainer calls it: checked on the first batch, watched on every other."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from perceptrain_core.errors import NonFiniteLossError, TrainingError
from perceptrain_core.models.parameters import nonfinite_parameter
from perceptrain_core.tensors import detached
from perceptrain_core.training.contract.error_hints import advise
from perceptrain_core.training.contract.loss_contract import (
    check_gradient,
    check_result,
    find_nonfinite,
    warn_of_untrained,
)
from perceptrain_core.types import LossFunction, Metrics, SkipBatch


class LossGuard:
    """Call a loss; refuse a result that breaks the contract, stop at one that is not finite.

    It stands between the loss and ``optimize_step``, so that any step function, also a user's
    own, is stopped before gradients or parameters have seen a NaN.

    Args:
        loss_fn: The loss.
        policy: ``"raise"``, ``"skip"`` or ``"ignore"``.
        where: Gives the position in the run, for messages.
        optimizer: What trains, if it goes by gradients.
    """

    def __init__(
        self,
        loss_fn: LossFunction,
        policy: str,
        where: Callable[[], str],
        optimizer: Any = None,
    ) -> None:
        self.loss_fn = loss_fn
        self._optimizer = optimizer
        self.begin_step = getattr(loss_fn, "begin_step", None)
        self._policy = policy
        self._watch = policy != "ignore"
        self._where = where
        self._unchecked = True

    def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the loss.

        Raises:
            LossContractError: On the first batch, when the result breaks the contract.
            NonFiniteLossError: The loss is NaN or infinite, and the policy is ``"raise"``.
        """
        result = self._first(batch, model) if self._unchecked else self.loss_fn(batch, model)
        if type(result) is not tuple:
            check_result(result)
        loss, metrics = result
        if self._watch:
            self._check_finite(loss, metrics, model)
        return loss, metrics

    def _first(self, batch: Any, model: nn.Module) -> Any:
        try:
            result = self.loss_fn(batch, model)
        except Exception as error:
            advise(error, batch, model)
            if isinstance(error, TypeError | AttributeError):
                error.add_note(
                    "This was the first call of the loss, as loss_fn(batch, model). If it is a "
                    "criterion(outputs, labels), pass perceptrain.supervised(criterion)."
                )
            raise
        self._check_first(result, model)
        self._unchecked = False
        return result

    def _check_first(self, result: Any, model: nn.Module) -> None:
        check_result(result)
        check_gradient(result[0], model)
        warn_of_untrained(result[0], model, self.loss_fn, self._optimizer)

    def _check_finite(self, loss: Tensor, metrics: Metrics, model: nn.Module) -> None:
        if isfinite(loss.item()):
            return
        if self._policy == "skip":
            raise SkipBatch
        raise self._error(loss, metrics, model)

    def _error(self, loss: Tensor, metrics: Metrics, model: nn.Module) -> NonFiniteLossError:
        return nonfinite_error(find_nonfinite(loss, metrics), self._where(), model)

    def poll(self) -> None:
        """Nothing is outstanding: every loss was looked at when it was computed."""

    def release(self) -> None:
        """Tell the loss, if it counts steps, that nobody announces them any more."""
        end_steps = getattr(self.loss_fn, "end_steps", None)
        if end_steps is not None:
            end_steps()


class FusedLossGuard(LossGuard):
    """Watch without reading: a fused optimizer on a GPU leaves out the step by itself.

    The first loss that is not finite raises a flag on the device, which the optimizer takes as
    ``found_inf``: from then on it changes nothing. `poll` reads the flag and stops the run.

    Args:
        optimizer: A fused optimizer.
        loss_fn: The loss.
        where: Gives the position in the run, for messages.
    """

    POLL_EVERY = 64

    def __init__(
        self, optimizer: Optimizer, loss_fn: LossFunction, where: Callable[[], str]
    ) -> None:
        super().__init__(loss_fn, "raise", where, optimizer)
        self._flag: Tensor | None = None
        self._recent: list[tuple[Tensor, Metrics, str]] = []
        self._model: nn.Module

    @staticmethod
    def fits(optimizer: Any, device: torch.device) -> bool:
        """Whether an optimizer can leave out a step by itself, and reading would be slow."""
        fused = getattr(optimizer, "_step_supports_amp_scaling", False)
        return device.type == "cuda" and bool(fused)

    def _check_finite(self, loss: Tensor, metrics: Metrics, model: nn.Module) -> None:
        self._model = model
        bad = torch.isfinite(loss.detach()).logical_not_().to(torch.float32)
        self._flag = bad if self._flag is None else torch.maximum(self._flag, bad)
        self._optimizer.found_inf = self._flag
        self._recent.append((loss.detach(), detached(metrics), self._where()))
        if len(self._recent) >= self.POLL_EVERY:
            self.poll()

    def poll(self) -> None:
        """Read the flag.

        Raises:
            NonFiniteLossError: A loss since the last call was NaN or infinite.
        """
        if self._flag is None:
            return
        recent, self._recent = self._recent, []
        if self._flag.item():
            self.release()
            loss, metrics, where = next(one for one in recent if not torch.isfinite(one[0]))
            raise nonfinite_error(find_nonfinite(loss, metrics), where, self._model)

    def release(self) -> None:
        """Give the optimizer back as it was."""
        super().release()
        self._optimizer.__dict__.pop("found_inf", None)


def make_guard(
    loss_fn: LossFunction,
    optimizer: Any,
    policy: str,
    device: torch.device,
    where: Callable[[], str],
    scaled: bool = False,
) -> LossGuard:
    """Choose how a loss is watched: on a GPU without reading it at every step, if that can be.

    It cannot where gradients are scaled: the scaler has a ``found_inf`` of its own.

    Raises:
        TrainingError: There is no optimizer to train with.
    """
    require_optimizer(optimizer)
    if policy == "raise" and not scaled and FusedLossGuard.fits(optimizer, device):
        return FusedLossGuard(optimizer, loss_fn, where)
    return LossGuard(loss_fn, policy, where, optimizer)


def require_optimizer(optimizer: Any) -> None:
    """Check that there is an optimizer to train with.

    Raises:
        TrainingError: There is none.
    """
    if optimizer is None:
        raise TrainingError(
            "Training needs an optimizer, and this trainer was made with None: give one, e.g. "
            "Trainer(model, Adam(model.parameters(), lr=1e-3), config)."
        )


def nonfinite_error(what: str, where: str, model: nn.Module) -> NonFiniteLossError:
    """Make the error that stops a run."""
    return NonFiniteLossError(
        f"Training stopped {where}: {what}. "
        + (
            _find_lost(model)
            or "The parameters are as they were before this batch. Look at the data and the "
            'learning rate; on_nonfinite="skip" leaves such batches out.'
        )
    )


def warn_of_skipped(skipped: int, batches: int, epoch: int, model: nn.Module) -> None:
    """Say how many batches of an epoch were left out, and whether the model is the reason.

    Raises:
        NonFiniteLossError: All of them: there is nothing to go on with.

    Warns:
        UserWarning: Some.
    """
    lost = _find_lost(model)
    if skipped == batches:
        raise NonFiniteLossError(
            f"The loss was NaN or infinite in all {batches} batches of epoch {epoch}, so all were "
            f"left out. {lost or 'Look at the data, or lower the learning rate.'}"
        )
    warnings.warn(
        f"Epoch {epoch}: {skipped} of {batches} batches had a loss that was NaN or infinite, and "
        f"were left out. {lost}".rstrip(),
        stacklevel=2,
    )


def _find_lost(model: nn.Module) -> str:
    """Say that parameters are not finite, and why; nothing if they are."""
    lost = nonfinite_parameter(model)
    if lost is None:
        return ""
    return (
        f"The parameters are not finite themselves ({lost!r}): an earlier step had a finite loss "
        "with a gradient that was not, as that of a root or a norm at 0."
    )
