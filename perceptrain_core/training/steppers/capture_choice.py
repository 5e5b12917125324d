"""What of a step is captured."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from functools import partial
from typing import Any, Literal, cast

import torch
from rich.console import Console
from torch.optim import LBFGS

from perceptrain_core.capture.captures import Captures
from perceptrain_core.capture.subject import Subject
from perceptrain_core.capture.update import Update
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CaptureError
from perceptrain_core.optimizer_steps import may_need_closure, stages_of
from perceptrain_core.optimizers.ssbroyden import SSBroyden
from perceptrain_core.training.contract.nonfinite_guard import LossGuard
from perceptrain_core.training.steppers.captured import CapturedLoss, CapturedStepper
from perceptrain_core.training.steppers.gradients import AdaptiveStepper
from perceptrain_core.user_warnings import warn_user


def make_captured_stepper(config: TrainConfig, eager: AdaptiveStepper) -> AdaptiveStepper:
    """Make a stepper that captures whole steps, or else the loss with its gradients.

    Whole steps are captured if one process takes a step on each batch with a known optimizer.

    Args:
        config: The settings.
        eager: The stepper without capturing. Its loss is a `LossGuard`; if whole steps are not
            captured, that calls a captured loss from now on.

    Returns:
        The stepper; ``eager`` itself if nothing can be captured.

    Raises:
        CaptureError: Nothing can be captured, with ``compile="strict"``.
    """
    optimizer, guard = eager.optimizer, cast(LossGuard, eager.loss_fn)
    closure = may_need_closure(optimizer)
    reason = None
    if eager.scaler is not None:
        reason = 'precision="fp16" scales the loss at each step'
    elif config.activation_checkpointing:
        reason = "activation_checkpointing computes parts of the model again in the backward pass"
    elif unknown := _unknown_with_closure(optimizer):
        reason = f"{unknown} may differentiate the loss more than once"
    if reason is not None:
        refuse_capture(config.compile, reason)
        return eager
    alone = eager.engine is None and config.accumulate == 1
    whole = alone and not closure and Update.is_known(optimizer)
    subject = Subject(
        guard.loss_fn,
        eager.model,
        guards_loss=whole and guard.watches,
        guards_gradients=whole and eager.skip_nonfinite,
        halted=guard.halted if whole else None,
        measures_norm=whole and eager.measures_norm,
        keeps_terms=alone,
        precision=torch.bfloat16 if config.precision == "bf16" else None,
    )
    captures = Captures(
        subject,
        optimizer,
        partial(Update, optimizer, eager.max_norm, eager.max_value) if whole else None,
        partial(refuse_capture, config.compile),
        _Announcer(config.verbose and (eager.engine is None or eager.engine.rank == 0)),
    )
    if not whole:
        guard.loss_fn = CapturedLoss(guard.loss_fn, captures)
    options = {each.name: getattr(eager, each.name) for each in fields(eager) if each.init}
    return CapturedStepper(**options, captures=captures, whole=whole)


def _unknown_with_closure(optimizer: Any) -> str | None:
    """Return the name of an optimizer of which it is unknown what it does with the closure."""
    names = (
        type(stage).__name__
        for stage in stages_of(optimizer)
        if may_need_closure(stage) and type(stage) not in (LBFGS, SSBroyden)
    )
    return next(names, None)


def refuse_capture(compile: bool | Literal["strict"], reason: str) -> None:
    """Say why a step is not captured.

    Raises:
        CaptureError: With ``compile="strict"``.

    Warns:
        UserWarning: Otherwise.
    """
    if compile == "strict":
        raise CaptureError(
            f'compile="strict": the step cannot be captured: {reason}. Change that, or use '
            "compile=True to take such steps as without it."
        )
    warn_user(
        f"compile=True: the step cannot be captured: {reason}. Such steps are taken as without "
        "compile."
    )


class _Announcer:
    """Shows what a run is doing while it waits for a compiler."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._status: AbstractContextManager[Any] = nullcontext()

    def __call__(self, text: str | None) -> None:
        if text is None:
            self._status.__exit__(None, None, None)
        elif self._shown:
            self._status = _status(text)
            self._status.__enter__()


def _status(text: str) -> AbstractContextManager[Any]:
    console = Console()
    if console.is_terminal:
        return console.status(f"{text} ...")
    print(f"{text} ...", file=sys.stdout)
    return nullcontext()
