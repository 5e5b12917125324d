"""The parts of a run, resolved from what a user named, and checked against each other."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.amp import GradScaler
from torch.optim import LBFGS, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from perceptrain_core.callbacks import (
    Callback,
    LivePlotMetrics,
    PrintMetrics,
    SaveBestCheckpoint,
    SaveCheckpoint,
    WriteMetrics,
    WritePlots,
)
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import LossContractError, TrainingError
from perceptrain_core.losses.supervised import as_loss
from perceptrain_core.optimizers.accumulated_step import AccumulatedStep
from perceptrain_core.optimizers.ask_tell import AskTell
from perceptrain_core.optimizers.nevergrad.optimizer import NevergradOptimizer
from perceptrain_core.optimizers.nevergrad.package import is_of_nevergrad
from perceptrain_core.optimizers.step import (
    begin_step,
    may_need_closure,
    needs_closure,
    optimize_step,
)
from perceptrain_core.registry import get_loss, get_optimizer
from perceptrain_core.schedules.schedule import Schedule, make_schedule
from perceptrain_core.tensors import detached
from perceptrain_core.training.contract.loss_contract import check_result
from perceptrain_core.training.events import as_callback
from perceptrain_core.types import LossFunction, OptimizeStep, SkipBatch, StepResult

#: ``f(model, optimizer, loss_fn, batches, device=None, dtype=None)`` gives a result for each batch,
#: and whether the optimizer has taken a step.
TakeStep: TypeAlias = Callable[..., tuple[list[StepResult | None], bool]]


def resolve_model(model: Any) -> nn.Module:
    """Check that a model is one.

    Raises:
        TrainingError: It is a class, or something else.
    """
    if isinstance(model, nn.Module):
        return model
    raise TrainingError(f"model must be a torch.nn.Module object, got {given(model)}.")


def resolve_loss(loss_fn: Any) -> LossFunction:
    """Give the loss for a name, a reference, a mapping, a criterion of torch, or a loss.

    Raises:
        LossContractError: It cannot be called, or is a class.
    """
    loss = as_loss(get_loss(loss_fn) if _names_something(loss_fn) else loss_fn)
    if isinstance(loss, type):
        name = loss.__name__
        raise LossContractError(f"The loss is the class {name}; pass {name}(...), an object.")
    return loss


def resolve_optimizer(optimizer: Any, model: nn.Module, loss_fn: LossFunction) -> Any:
    """Give the optimizer, with the parameters of a loss that has some.

    Raises:
        TrainingError: It is none, or it has no parameter of this model.
    """
    if optimizer is None:
        return None
    if _names_something(optimizer):
        optimizer = get_optimizer(optimizer, model.parameters())
    if is_of_nevergrad(optimizer):
        optimizer = NevergradOptimizer(model.parameters(), optimizer)
    owned = _parameters_of(optimizer)
    own = [id(p) for p in model.parameters()]
    if own and owned.isdisjoint(own):
        raise TrainingError(
            f"The optimizer has none of the parameters of {type(model).__name__}: it was made "
            "for another model. Make it with this one's: Adam(model.parameters(), ...)."
        )
    _add_loss_parameters(optimizer, loss_fn, owned)
    return optimizer


def parameters_beside(optimizer: Any, model: nn.Module, loss_fn: Any) -> list[nn.Parameter]:
    """Give the parameters of an optimizer that are neither the model's nor the loss's.

    Such as the unknown coefficient of an equation, which a function holds.
    """
    if not isinstance(optimizer, Optimizer):
        return []
    modules = [part for part in (model, loss_fn) if isinstance(part, nn.Module)]
    known = {id(p) for module in modules for p in module.parameters()}
    every = (p for group in optimizer.param_groups for p in group["params"])
    return [p for p in every if isinstance(p, nn.Parameter) and id(p) not in known]


def _parameters_of(optimizer: Any) -> set[int]:
    if isinstance(optimizer, Optimizer):
        return {id(p) for group in optimizer.param_groups for p in group["params"]}
    if isinstance(optimizer, AskTell):
        return {id(p) for p in optimizer.params}
    raise TrainingError(
        "optimizer must be a torch.optim.Optimizer, e.g. Adam(model.parameters(), lr=1e-3), "
        "a search by ask and tell, e.g. NevergradOptimizer(model.parameters(), ...), or the name "
        f"of one; got {given(optimizer)}."
    )


def _add_loss_parameters(optimizer: Any, loss_fn: LossFunction, owned: set[int]) -> None:
    if not isinstance(loss_fn, nn.Module):
        return
    missing = [p for p in loss_fn.parameters() if p.requires_grad and id(p) not in owned]
    if missing and isinstance(optimizer, LBFGS):
        raise TrainingError(
            f"{type(loss_fn).__name__} has parameters of its own, and L-BFGS takes one group "
            "only: make it with [*model.parameters(), *loss_fn.parameters()]."
        )
    if missing and isinstance(optimizer, AskTell):
        raise TrainingError(
            f"{type(loss_fn).__name__} has parameters of its own, which the search has not: make "
            "it with all of them, NevergradOptimizer([*model.parameters(), "
            "*loss_fn.parameters()], ...)."
        )
    if missing:
        optimizer.add_param_group({"params": missing})


def resolve_callbacks(config: TrainConfig, made: dict[int, tuple[Any, Callback]]) -> list[Callback]:
    """Give the user's callbacks, then those that the settings ask for, checkpoints last.

    Args:
        config: The settings.
        made: The callbacks made of names so far, by their place in the list, with what named
            each: a name is made into an object once, whose state is there after the fit.

    Raises:
        CallbackError: Something given is no callback.
        MissingDependencyError: What one of them needs is not installed.
    """
    for number, item in enumerate(config.callbacks):
        if number not in made or made[number][0] is not item:
            made[number] = item, as_callback(item)
    callbacks = [made[number][1] for number in range(len(config.callbacks))]
    if config.print_every:
        callbacks.append(PrintMetrics(called_every=config.print_every))
    if config.write_every:
        callbacks.append(WriteMetrics(called_every=config.write_every))
    if config.plot_every:
        callbacks.append(WritePlots(called_every=config.plot_every))
    if config.live_plot_every:
        callbacks.append(LivePlotMetrics(called_every=config.live_plot_every))
    if config.checkpoint_best_only:
        callbacks.append(SaveBestCheckpoint())
    elif config.checkpoint_every:
        callbacks.append(SaveCheckpoint(called_every=config.checkpoint_every))
    # Those that save come last, and of them the one with a state of its own, the best loss, first.
    return sorted(callbacks, key=lambda c: (c.saves_run, isinstance(c, SaveCheckpoint)))


def resolve_step(step: OptimizeStep) -> OptimizeStep:
    """Check a user's own ``optimize_step`` now, and what it returns when it is first called.

    Raises:
        TrainingError: It cannot be called as the trainer will.
    """
    if step is optimize_step:
        return step
    wanted = "optimize_step(model, optimizer, loss_fn, xs, device=None, dtype=None)"
    if not callable(step):
        raise TrainingError(f"Expected a function {wanted}, got {given(step)}.")
    try:
        inspect.signature(step).bind(None, None, None, None, device=None, dtype=None)
    except TypeError as error:
        raise TrainingError(f"optimize_step cannot be called as {wanted}: {error}.") from None
    except ValueError:
        pass  # written in C: it does not tell

    def checked(model: Any, optimizer: Any, loss_fn: Any, xs: Any, **options: Any) -> StepResult:
        begin_step(loss_fn)
        result = step(model, optimizer, loss_fn, xs, **options)
        check_result(result)
        return result[0].detach(), detached(result[1])

    return checked


def make_scaler(config: TrainConfig, optimizer: Any, device: torch.device) -> GradScaler | None:
    """Give what scales the gradients of half precision, if the settings ask for that.

    Raises:
        TrainingError: The optimizer evaluates the loss by itself, or will from some epoch on.
    """
    if config.precision != "fp16":
        return None
    if may_need_closure(optimizer):
        raise TrainingError(
            f"{type(optimizer).__name__} evaluates the loss several times a step, and gradients "
            'cannot be scaled for it: use precision="bf16" or "full".'
        )
    return GradScaler(device.type)


def make_step(
    config: TrainConfig, optimizer: Any, step: OptimizeStep, scaler: GradScaler | None
) -> TakeStep:
    """Give the step of the loop, which takes a list of batches; see `TakeStep`.

    Raises:
        TrainingError: A step of the user's own is to do what only the built-in one can, or
            gradients are to be clipped that a line search needs as they are.
    """
    clips = config.grad_clip is not None or config.grad_clip_value is not None
    if clips and not hasattr(optimizer, "needs_closure") and needs_closure(optimizer):
        raise TrainingError(
            f"grad_clip={config.grad_clip}, grad_clip_value={config.grad_clip_value}: "
            f"{type(optimizer).__name__} evaluates the loss several times a step, and its line "
            "search fails with gradients that are not those of the loss. Leave them out, or lower "
            "the learning rate of the optimizer."
        )
    if config.accumulate == 1 and not clips and scaler is None:
        return partial(_single_step, step)
    if step is optimize_step:
        return AccumulatedStep(config.grad_clip, config.grad_clip_value, scaler)
    raise TrainingError(
        "accumulate, grad_clip, grad_clip_value and fp16 are for the built-in step; an "
        "optimize_step of your own does such things by itself. Leave out the one or the other."
    )


def _single_step(
    step: OptimizeStep, model: Any, optimizer: Any, loss_fn: Any, batches: Any, **options: Any
) -> tuple[list[StepResult | None], bool]:
    try:
        return [step(model, optimizer, loss_fn, batches[0], **options)], True
    except SkipBatch:
        return [None], False


def options_of(optimizer: Any) -> list[dict[str, Any]]:
    """Give the options of each group of parameters as a fit finds them, the plain ones of them.

    An optimizer that has taken steps has not those that it was made with, and gives none.
    """
    if not isinstance(optimizer, Optimizer) or optimizer.state:
        return []
    plain = (int, float, str, bool)
    return [{k: v for k, v in g.items() if isinstance(v, plain)} for g in optimizer.param_groups]


def average(model: nn.Module, decay: float | None) -> AveragedModel | None:
    """Make the moving average of a model's weights; its buffers are those of the model."""
    if decay is None:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def schedule(config: TrainConfig, optimizer: Any, batches: int | None) -> Schedule | None:
    """Make the learning-rate schedule that the settings ask for; `make_schedule` says the rest."""
    if config.lr_scheduler is None:
        return None
    return make_schedule(
        config.lr_scheduler,
        optimizer,
        epochs=config.max_iter,
        steps_per_epoch=None if batches is None else ceil(batches / config.accumulate),
        validates=config.val_every > 0,
    )


def given(item: Any) -> str:
    """Say what somebody gave in place of something else."""
    return f"the class {item.__name__}" if isinstance(item, type) else type(item).__name__


def _names_something(item: Any) -> bool:
    return item is None or isinstance(item, str | dict)
