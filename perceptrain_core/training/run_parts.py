"""The parts of a run that have a state: what a fit works with and a checkpoint saves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn import ParameterList
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from perceptrain_core.callbacks import Callback
from perceptrain_core.config import TrainConfig
from perceptrain_core.engine.scattering import without_values
from perceptrain_core.engine.shard_choice import can_be_sharded
from perceptrain_core.errors import TrainingError
from perceptrain_core.optimizer_modes import has_modes
from perceptrain_core.optimizer_steps import stages_of
from perceptrain_core.parameters import parameters_of
from perceptrain_core.schedules.schedule import Schedule, make_schedule
from perceptrain_core.tensors import local
from perceptrain_core.training.limits import planned_epochs
from perceptrain_core.training.steppers.base import begin_epoch
from perceptrain_core.training.steppers.choice import make_scaler
from perceptrain_core.types import LossFunction

#: The parts that not every run has, as messages name them.
OPTIONAL_PARTS = {
    "loss": "a loss",
    "parameters": "parameters that the optimizer has beside the model's",
    "averaged_model": "an averaged model (ema)",
    "grad_scaler": "a gradient scaler (fp16)",
    "lr_schedule": "a learning-rate scheduler",
}


@dataclass
class RunParts:
    """The model, what trains it, and what one fit creates for itself.

    Attributes:
        model: The model.
        optimizer: An optimizer of torch, or a search (`AskTell`).
        loss_fn: The loss.
        callbacks: In the order in which they run.
        optimizer_options: The plain options of each parameter group at the start of the fit, of a
            sequence those of all its optimizers and its milestones; empty if the optimizer had
            taken steps before.
        averaged_model: With ``config.ema``, the moving average of the model.
        grad_scaler: With ``precision="fp16"``, the gradient scaler.
        schedule: With ``config.lr_scheduler``, the learning-rate schedule.
    """

    model: nn.Module
    optimizer: Any
    loss_fn: LossFunction
    callbacks: list[Callback]
    optimizer_options: Sequence[dict[str, Any]] = ()
    averaged_model: AveragedModel | None = None
    grad_scaler: GradScaler | None = None
    schedule: Schedule | None = None

    def stateful(self) -> dict[str, Any]:
        """Return the parts with ``state_dict`` and ``load_state_dict``, except the callbacks."""
        parts: dict[str, Any] = {"model": self.model, "optimizer": self.optimizer}
        if hasattr(self.loss_fn, "state_dict") and hasattr(self.loss_fn, "load_state_dict"):
            parts["loss"] = self.loss_fn
        if others := extra_parameters(self.optimizer, self.model, self.loss_fn):
            parts["parameters"] = ParameterList(others)
        made = {
            "averaged_model": self.averaged_model,
            "grad_scaler": self.grad_scaler,
            "lr_schedule": self.schedule,
        }
        return parts | {name: part for name, part in made.items() if part is not None}


def make_parts(
    config: TrainConfig,
    model: nn.Module,
    optimizer: Any,
    loss_fn: LossFunction,
    callbacks: list[Callback],
    device: torch.device,
    batches: int | None,
    sharded: bool = False,
) -> RunParts:
    """Create what a fit needs beside the parts that the user passed.

    Args:
        config: The settings.
        model: The model.
        optimizer: The optimizer.
        loss_fn: The loss.
        callbacks: The callbacks.
        device: The device of the model.
        batches: Batches per epoch, if known; the length of a learning-rate schedule.
        sharded: Whether the model will be sharded; its average then has no values before.

    Raises:
        TrainingError: The optimizer does not support a setting.
        ConfigError: The learning-rate schedule cannot be created.
    """
    return RunParts(
        model,
        optimizer,
        loss_fn,
        callbacks,
        optimizer_options=_plain_options(optimizer),
        averaged_model=_averaged(model, optimizer, config.ema, sharded),
        grad_scaler=make_scaler(config, optimizer, device),
        schedule=make_run_schedule(config, optimizer, batches),
    )


def extra_parameters(optimizer: Any, model: nn.Module, loss_fn: Any) -> list[nn.Parameter]:
    """Return the parameters of an optimizer that belong neither to the model nor to the loss.

    Such as the unknown coefficient of an equation.
    """
    if not isinstance(optimizer, Optimizer):
        return []
    known = set(parameters_of(model, loss_fn))
    return [p for p in parameters_of(optimizer) if isinstance(p, nn.Parameter) and p not in known]


def _plain_options(optimizer: Any) -> list[dict[str, Any]]:
    # After its first step an optimizer may have other options than it was created with.
    if not isinstance(optimizer, Optimizer) or optimizer.state:
        return []
    groups = [group for stage in stages_of(optimizer) for group in stage.param_groups]
    if hasattr(optimizer, "milestones"):
        groups.append({"milestones": optimizer.milestones})
    return [{k: v for k, v in g.items() if _is_plain(v)} for g in groups]


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value)) and bool(value)
    return isinstance(value, int | float | str | bool)


def _averaged(
    model: nn.Module, optimizer: Any, decay: float | None, sharded: bool
) -> AveragedModel | None:
    """Create the moving average of a model's weights; buffers are copied from the model."""
    if decay is None:
        return None
    averaging = [stage for stage in stages_of(optimizer) if has_modes(stage)]
    if averaging:
        raise TrainingError(
            f"ema={decay}: {type(averaging[0]).__name__} averages the weights itself, and "
            "evaluates its average. Leave out ema, or use another optimizer."
        )
    if not sharded:
        return AveragedModel(model, multi_avg_fn=_with_warm_up(decay))
    averaged = AveragedModel(nn.Identity(), multi_avg_fn=_with_warm_up(decay))
    outlines = {id(p): without_values(p) for p in model.parameters() if can_be_sharded(p)}
    averaged.module = deepcopy(model, outlines)
    return averaged


def _with_warm_up(decay: float) -> Callable[[Any, Any, Any], None]:
    """Return an update whose decay grows with the number of steps n, ``(1 + n) / (10 + n)``.

    With a constant one a short training would keep its initial weights: 0.999 ** 200 = 0.82.
    """

    def update(averaged: list[Tensor], current: list[Tensor], number: Tensor) -> None:
        steps = int(number)
        average = get_ema_multi_avg_fn(min(decay, (1 + steps) / (10 + steps)))  # type: ignore[no-untyped-call]
        # Each process averages its own shares.
        average([*map(local, averaged)], [*map(local, current)], number)

    return update


def make_run_schedule(config: TrainConfig, optimizer: Any, batches: int | None) -> Schedule | None:
    """Create the learning-rate schedule of a run, or return ``None`` if it has none.

    Args:
        config: The settings.
        optimizer: The optimizer; its rates are set to those of the first step.
        batches: Batches per epoch, if known.

    Raises:
        PerceptrainError: The schedule cannot be created; see `make_schedule`.
    """
    if config.lr_scheduler is None:
        return None
    begin_epoch(optimizer, 1)  # the schedule starts from the rates of the first epoch
    return make_schedule(
        config.lr_scheduler,
        optimizer,
        epochs=planned_epochs(config, batches),
        steps_per_epoch=None if batches is None else ceil(batches / config.accumulate),
        max_steps=config.max_steps,
        validates=config.validates,
    )
