"""What of a step is captured."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from rich.console import Console
from torch import nn
from torch.amp import GradScaler
from torch.optim import LBFGS

from perceptrain_core.capture.captures import Captures
from perceptrain_core.capture.subject import Subject
from perceptrain_core.capture.update import Update
from perceptrain_core.config import TrainConfig
from perceptrain_core.engine import Engine
from perceptrain_core.errors import CaptureError
from perceptrain_core.optimizers.adam_lbfgs import AdamLBFGS
from perceptrain_core.parameters import parameters_of
from perceptrain_core.training.steppers.captured import CapturedLoss, CapturedStepper
from perceptrain_core.training.steppers.closures import may_need_closure
from perceptrain_core.training.steppers.gradients import AdaptiveStepper
from perceptrain_core.user_warnings import warn_user


def make_captured_stepper(
    config: TrainConfig,
    model: nn.Module,
    optimizer: Any,
    guard: Any,
    device: torch.device,
    dtype: torch.dtype | None,
    max_norm: float | None,
    max_value: float | None,
    scaler: GradScaler | None,
    engine: Engine | None,
    skip_nonfinite: bool,
    measures_norm: bool,
) -> AdaptiveStepper:
    """Make a stepper that captures whole steps, or else the loss with its gradients.

    Whole steps are captured if one process takes a step on each batch with a known optimizer.

    Args:
        config: The settings.
        guard: The loss, a `LossGuard`. If whole steps are not captured, it calls a captured loss
            from now on.

    Raises:
        CaptureError: Nothing can be captured, with ``compile="strict"``.
    """
    parts = model, optimizer, guard, device, dtype
    options = *parts, max_norm, max_value, scaler, engine, skip_nonfinite, measures_norm
    closure = may_need_closure(optimizer)
    reason = None
    if scaler is not None:
        reason = 'precision="fp16" scales the loss at each step'
    elif closure and type(optimizer) not in (LBFGS, AdamLBFGS):
        reason = f"{type(optimizer).__name__} may differentiate the loss more than once"
    elif any(p._backward_hooks or p._post_accumulate_grad_hooks for p in parameters_of(model)):
        reason = "a parameter has a hook"
    if reason is not None:
        refuse_capture(config.compile, reason)
        return AdaptiveStepper(*options)
    whole = not closure and engine is None and config.accumulate == 1 and Update.is_known(optimizer)

    def update() -> Update:
        return Update(optimizer, max_norm, max_value)

    subject = Subject(
        guard.loss_fn,
        model,
        guards_loss=whole and guard.watches,
        guards_gradients=whole and skip_nonfinite,
        measures_norm=whole and measures_norm,
        keeps_terms=engine is None and config.accumulate == 1,
        precision=torch.bfloat16 if config.precision == "bf16" else None,
    )
    captures = Captures(
        subject,
        optimizer,
        update if whole else None,
        lambda reason: refuse_capture(config.compile, reason),
        _Announcer(config.verbose and (engine is None or engine.rank == 0)),
    )
    if not whole:
        guard.loss_fn = CapturedLoss(guard.loss_fn, captures)
    return CapturedStepper(*options, captures=captures, whole=whole)


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
