"""Which stepper a run needs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.amp import GradScaler

from perceptrain_core.config import TrainConfig
from perceptrain_core.engine import Engine
from perceptrain_core.errors import TrainingError
from perceptrain_core.optimizer_steps import (
    may_need_closure,
    may_need_residuals,
    needs_closure,
    stages_of,
)
from perceptrain_core.optimizers.ask_tell import is_search
from perceptrain_core.training.contract.residual_checks import CHECKPOINTED
from perceptrain_core.training.steppers.base import Stepper
from perceptrain_core.training.steppers.candidates import CandidateStepper, ask_tell_step
from perceptrain_core.training.steppers.capture_choice import make_captured_stepper, refuse_capture
from perceptrain_core.training.steppers.custom import CustomStepper
from perceptrain_core.training.steppers.gradients import AdaptiveStepper
from perceptrain_core.training.steppers.least_squares import LeastSquaresStepper
from perceptrain_core.training.steppers.optimize_step import optimize_step
from perceptrain_core.training.steppers.plain import PlainStepper
from perceptrain_core.training.steppers.second_order import check_second_order
from perceptrain_core.types import LossFunction, OptimizeStep


def make_stepper(
    config: TrainConfig,
    model: nn.Module,
    optimizer: Any,
    loss_fn: LossFunction,
    step: OptimizeStep,
    engine: Engine,
    scaler: GradScaler | None = None,
) -> Stepper:
    """Choose how steps are taken: along gradients, by trying candidates, or by a user's function.

    Args:
        config: The settings.
        model: The model.
        optimizer: An optimizer of torch, or a search (`AskTell`).
        loss_fn: The loss as the loop calls it.
        step: The trainer's ``optimize_step``; anything but the default is a user's function.
        engine: Its device and dtype are those of the batches.
        scaler: Scales half-precision gradients.

    Raises:
        TrainingError: A user's function is combined with settings that only the built-in step
            implements, gradients would be clipped that a line search needs as they are, or a
            second-order optimizer cannot use a setting.
    """
    check_second_order(config, optimizer)
    parts = model, optimizer, loss_fn, engine.device, engine.dtype
    if config.compile and (is_search(optimizer) or step is not optimize_step):
        refuse_capture(config.compile, "only the built-in step along gradients is captured")
    if is_search(optimizer):
        function = ask_tell_step if step is optimize_step else step
        return CandidateStepper(*parts, function=function)
    clips = config.grad_clip is not None or config.grad_clip_value is not None
    if clips and not hasattr(optimizer, "needs_closure") and needs_closure(optimizer):
        raise TrainingError(
            f"grad_clip={config.grad_clip}, grad_clip_value={config.grad_clip_value}: "
            f"{type(optimizer).__name__} evaluates the loss several times a step, and its line "
            "search needs the gradients of that loss unclipped. Leave the clipping out, or lower "
            "the learning rate of the optimizer."
        )
    if step is optimize_step:
        skip = config.on_nonfinite == "skip"
        clipping = config.grad_clip, config.grad_clip_value
        several = engine if engine.world_size > 1 else None
        options = *parts, *clipping, scaler, several, skip, config.log_grad_norm
        if may_need_residuals(optimizer):
            if config.activation_checkpointing:
                raise TrainingError(f"activation_checkpointing: {CHECKPOINTED}")
            if config.compile:
                which = "one of its optimizers" if len(stages_of(optimizer)) > 1 else "it"
                refuse_capture(config.compile, f"{which} evaluates residuals row by row")
            return LeastSquaresStepper(*options)
        if config.compile:
            return make_captured_stepper(config, AdaptiveStepper(*options))
        if (
            any((may_need_closure(optimizer), clips, skip, scaler, several, config.log_grad_norm))
            or config.accumulate > 1
        ):
            return AdaptiveStepper(*options)
        return PlainStepper(*parts)
    if config.accumulate > 1 or clips or scaler is not None or config.log_grad_norm:
        raise TrainingError(
            "accumulate, grad_clip, grad_clip_value, log_grad_norm and fp16 only work with the "
            "built-in optimize_step; implement them in your own, or leave out one or the other."
        )
    return CustomStepper(*parts, function=step)


def make_scaler(config: TrainConfig, optimizer: Any, device: torch.device) -> GradScaler | None:
    """Make the gradient scaler, if the settings ask for half precision.

    Raises:
        TrainingError: The optimizer evaluates the loss itself, now or later in the run.
    """
    if config.precision != "fp16" or is_search(optimizer):
        return None
    if may_need_closure(optimizer):
        raise TrainingError(
            f"{type(optimizer).__name__} evaluates the loss several times a step, so its gradients "
            'cannot be scaled: use precision="bf16" or "full".'
        )
    return GradScaler(device.type)
