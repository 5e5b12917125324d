"""Training without gradients: what is other in a trainer whose optimizer proposes candidates."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from math import nan
from typing import Any

from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import ConfigError, NonFiniteLossError, TrainingError
from perceptrain_core.optimizers.ask_tell import AskTell, ask_tell_step, write_vector
from perceptrain_core.optimizers.step import optimize_step
from perceptrain_core.training import resolve as parts
from perceptrain_core.training.contract.distributed_guard import SharedLossGuard
from perceptrain_core.training.contract.loss_contract import check_result, find_nonfinite
from perceptrain_core.training.contract.nonfinite_guard import (
    LossGuard,
    make_guard,
    warn_of_skipped,
)
from perceptrain_core.training.provenance import Provenance, provenance
from perceptrain_core.training.stop_signals import StopSignals
from perceptrain_core.types import LossFunction, Metrics, OptimizeStep, SkipBatch, StepResult

#: Settings that mean something for steps along gradients only.
_OF_GRADIENTS = ("accumulate", "ema", "grad_clip", "grad_clip_value", "lr_scheduler")


class _SetUseGrad:
    """`Trainer.set_use_grad`, called on the class or on an object."""

    def __get__(self, trainer: Any, owner: type) -> Callable[[bool], None]:
        def set_use_grad(flag: bool) -> None:
            """Say whether gradients are to be used.

            The optimizer alone decides that, for each trainer. Called on an object, a flag that
            contradicts its optimizer makes the next fit raise a `TrainingError`; called on the
            class, it is accepted and changes nothing, in this or in any other trainer.
            """
            if trainer is not None:
                trainer._wanted = bool(flag)

        return set_use_grad


class GradientFree:
    """The part of a trainer that knows whether it follows gradients."""

    config: TrainConfig
    model: nn.Module
    optimizer: Any
    loss_fn: LossFunction
    engine: Any
    optimize_step: OptimizeStep
    grad_scaler: GradScaler | None
    provenance: Provenance
    _where: Callable[[], str]
    _resolve_optimizer: Callable[[Any], Any]
    _wanted: bool | None = None

    set_use_grad = _SetUseGrad()

    @property
    def use_grad(self) -> bool:
        """Whether training follows gradients; it follows from the optimizer alone."""
        known = isinstance(self.optimizer, Optimizer)  # saves looking for each member of AskTell
        return known or not isinstance(self.optimizer, AskTell)

    @contextmanager
    def disable_grad_opt(self, optimizer: Any = None) -> Iterator[None]:
        """Train without gradients inside a ``with``; afterwards the optimizer is the one before.

        Args:
            optimizer: A search, the name of one, or an optimizer of nevergrad's; ``None`` is the
                one that the trainer has.

        Raises:
            TrainingError: The optimizer follows gradients.
        """
        with self._optimizing_by(optimizer, use_grad=False):
            yield

    @contextmanager
    def enable_grad_opt(self, optimizer: Any = None) -> Iterator[None]:
        """Train with gradients inside a ``with``; afterwards the optimizer is the one before.

        Args:
            optimizer: An optimizer of torch, or the name of one; ``None`` is the one that the
                trainer has.

        Raises:
            TrainingError: The optimizer uses no gradients.
        """
        with self._optimizing_by(optimizer, use_grad=True):
            yield

    @contextmanager
    def _optimizing_by(self, optimizer: Any, use_grad: bool) -> Iterator[None]:
        before = self.optimizer, self._wanted, self.provenance
        if optimizer is not None:
            self.optimizer = self._resolve_optimizer(optimizer)
            others = {part: e for part, e in self.provenance.items() if part != "optimizer"}
            self.provenance = others | provenance({"optimizer": self.optimizer})
        self._wanted = use_grad
        try:
            self._check_use_grad()
            yield
        finally:
            self.optimizer, self._wanted, self.provenance = before

    def _check_use_grad(self) -> None:
        """Refuse what does not go with the optimizer.

        Raises:
            TrainingError: Gradients are wanted and the optimizer uses none, or the other way.
            ConfigError: A setting is of use with gradients only.
        """
        if self.optimizer is None:
            return
        if self._wanted not in (None, self.use_grad):
            kind = type(self.optimizer).__name__
            does = "follows gradients" if self.use_grad else "uses no gradients"
            raise TrainingError(
                f"use_grad={self._wanted} was asked for, but the optimizer, {kind}, {does}. "
                "The optimizer decides: give another one, or leave use_grad as it is."
            )
        if not self.use_grad:
            check_settings(self.config)

    def _make_step(self) -> parts.TakeStep:
        """Give the step of the loop, with what scales gradients where they need it."""
        self.grad_scaler = None
        if not self.use_grad:
            own = self.optimize_step is not optimize_step
            return partial(try_candidate, self.optimize_step if own else ask_tell_step)
        self.grad_scaler = parts.make_scaler(self.config, self.optimizer, self.engine.device)
        return parts.make_step(self.config, self.optimizer, self.optimize_step, self.grad_scaler)

    def _make_guard(self, loss_fn: LossFunction, signals: StopSignals) -> LossGuard:
        policy, engine = self.config.on_nonfinite, self.engine
        if not self.use_grad:
            return CandidateGuard(loss_fn, policy, self._where)
        if engine.world_size > 1:
            return SharedLossGuard(engine, signals, loss_fn, policy, self._where)
        scaled = self.config.precision == "fp16"
        return make_guard(loss_fn, self.optimizer, policy, engine.device, self._where, scaled)

    def _warn_of_skipped(self, skipped: int, batches: int, epoch: int) -> None:
        if self.use_grad:
            warn_of_skipped(skipped, batches, epoch, self.model)
        elif self.optimizer.best is None:  # after the first good one, bad ones are part of it
            warnings.warn(
                f"Epoch {epoch}: no candidate so far has a finite loss. Look at the data, and at "
                "where the search starts.",
                stacklevel=2,
            )

    def _take_best(self) -> None:
        """Let the model hold the best candidate so far."""
        if not self.use_grad and self.optimizer.best is not None:
            write_vector(self.optimizer.params, self.optimizer.best)

    def _given_optimizer(self) -> Any:
        """The optimizer that the user knows."""
        return getattr(self.optimizer, "given", self.optimizer)


class CandidateGuard(LossGuard):
    """Watch a loss that is evaluated without gradients."""

    def _check_first(self, result: Any, model: nn.Module) -> None:
        check_result(result)

    def _error(self, loss: Tensor, metrics: Metrics, model: nn.Module) -> NonFiniteLossError:
        return NonFiniteLossError(
            f"Training stopped {self._where()}: {find_nonfinite(loss, metrics)}. The model holds "
            'the best candidate before it. on_nonfinite="skip" takes such a candidate for the '
            "worst and goes on."
        )


def try_candidate(
    step: OptimizeStep, model: Any, optimizer: AskTell, loss_fn: Any, batches: Any, **options: Any
) -> tuple[list[StepResult | None], bool]:
    """Try a candidate on the one batch of a step; one that is left out is told to be of no use."""
    try:
        return [step(model, optimizer, loss_fn, batches[0], **options)], True
    except SkipBatch:
        optimizer.tell(optimizer.ask(), nan)
        return [None], False


def check_settings(config: Any) -> None:
    """Refuse settings that need gradients.

    Raises:
        ConfigError: Some are not at their defaults.
    """
    own = [f for f in fields(config) if f.name in _OF_GRADIENTS]
    given = [f"{f.name}={getattr(config, f.name)!r}" for f in own if _changed(config, f)]
    if given:
        raise ConfigError(
            f"{', '.join(given)}: of no use without gradients. Leave it out, or give an optimizer "
            "that follows gradients."
        )


def _changed(config: Any, field: Any) -> bool:
    return bool(getattr(config, field.name) != getattr(type(config)(), field.name))
