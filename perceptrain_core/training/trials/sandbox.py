"""A few steps of training that leave no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from perceptrain_core.data import DictDataLoader
from perceptrain_core.errors import TrainingError
from perceptrain_core.models.checkpointing import activation_checkpointing
from perceptrain_core.models.modes import training
from perceptrain_core.optimizer_modes import begin_training
from perceptrain_core.optimizers.ask_tell import is_search
from perceptrain_core.parameters import buffers_of, parameters_of
from perceptrain_core.training.context import TrainingContext
from perceptrain_core.training.contract.choice import require_optimizer
from perceptrain_core.training.contract.nonfinite_guard import LossGuard
from perceptrain_core.training.contract.torch_errors import explained_errors
from perceptrain_core.training.precision import in_precision
from perceptrain_core.training.resume.data_position import DataPosition
from perceptrain_core.training.run_data import make_epochs
from perceptrain_core.training.steppers.base import Stepper, begin_epoch
from perceptrain_core.training.steppers.choice import make_scaler, make_stepper


class Step:
    """Take a step on some batches; return the mean of their losses from before it.

    Args:
        stepper: How steps are taken.
    """

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper

    def __call__(self, batches: list[Any]) -> float:
        """Take a step."""
        results, _ = self.stepper.take(batches)
        return fmean(float(loss) for loss, _ in filter(None, results))


@contextmanager
def sandbox(trainer: TrainingContext, data: Any) -> Iterator[tuple[Step, DataPosition]]:
    """Train a trainer's model for a few steps, and restore everything, whatever happens.

    Restored are the model, the loss and the optimizer with their gradients, states and learning
    rates, and the random generators including the data's. No callback is called. The parts are
    moved to the device first, as for every use of the trainer.

    Args:
        trainer: The trainer; steps are taken as by its ``fit``.
        data: Where batches come from.

    Yields:
        A function that takes a step, and the batches of each step. It raises NonFiniteLossError
        if the loss is NaN or infinite, before parameters change.

    Raises:
        TrainingError: There is no optimizer, it uses no gradients, or this is one of several
            processes.
    """
    config, engine, optimizer = trainer.config, trainer.engine, trainer.optimizer
    if engine.world_size > 1:
        raise TrainingError(
            f"find_lr, overfit_batch and profile run in one process, and this is one of "
            f"{engine.world_size}: call them in a script of their own, without torchrun."
        )
    if is_search(optimizer):
        raise TrainingError(
            f"find_lr, overfit_batch and profile need gradients, and the optimizer, "
            f"{type(optimizer).__name__}, uses none. Call them inside "
            "\"with trainer.enable_grad_opt({'name': 'adam', 'lr': 1e-3}):\"."
        )
    require_optimizer(optimizer)
    engine.prepare(trainer.model, optimizer, trainer.loss_fn)
    loss_fn = in_precision(trainer.loss_fn, config.precision, engine.device)
    # The loss is read at every step anyway, so the guard for fused optimizers gains nothing.
    guard = LossGuard(loss_fn, "raise", lambda: "in a trial", optimizer)
    scaler = make_scaler(config, optimizer, engine.device)
    stepper = make_stepper(
        config, trainer.model, optimizer, guard, trainer.optimize_step, engine, scaler
    )
    if isinstance(data, DictDataLoader):  # its infinite loaders continue from where they are
        data = DictDataLoader(data.dataloaders)
    epochs = make_epochs(trainer, data, "train", config.shuffle, config.accumulate)
    position = DataPosition(epochs, config.accumulate)
    with (
        explained_errors(trainer.model),
        ExitStack() as undo,
        training(trainer.model, trainer.loss_fn),
        activation_checkpointing(trainer.model, config.activation_checkpointing),
    ):
        undo.callback(position.restore_generators, position.generators_state())
        parts = [part for part in (trainer.model, trainer.loss_fn) if isinstance(part, nn.Module)]
        # A sequence may select another optimizer.
        undo.callback(_refill, vars(optimizer), dict(vars(optimizer)))
        begin_epoch(optimizer, max(1, trainer.current_epoch))
        _keep_optimizer(undo, optimizer)
        _keep_tensors(undo, parts, optimizer)
        _keep_states(undo, parts, trainer.loss_fn)
        begin_training(optimizer)
        undo.callback(guard.release)
        yield Step(stepper), position


def endless(position: DataPosition) -> Iterator[list[Any]]:
    """Yield the batches of each step, epoch after epoch, until an epoch has none."""
    while True:
        yield from position.steps()
        if not position.batch:
            return
        position.end_epoch()


def _keep_optimizer(undo: ExitStack, optimizer: Optimizer) -> None:
    """Let the optimizer work on copies of its state and groups, and restore its own."""
    undo.callback(_refill, optimizer.state, dict(optimizer.state))
    optimizer.state.update({key: deepcopy(state) for key, state in optimizer.state.items()})
    for group in optimizer.param_groups:
        undo.callback(_refill, group, dict(group))
        group.update({k: deepcopy(value) for k, value in group.items() if k != "params"})


def _keep_tensors(undo: ExitStack, parts: list[nn.Module], optimizer: Optimizer) -> None:
    """Copy parameters and buffers, and set gradients aside."""
    parameters = parameters_of(optimizer, *parts)
    for tensor in (*parameters, *buffers_of(*parts)):
        undo.callback(_copy, tensor, tensor.detach().clone())
    for parameter in parameters:
        undo.callback(setattr, parameter, "grad", parameter.grad)
        parameter.grad = None


def _keep_states(undo: ExitStack, parts: list[nn.Module], loss_fn: Any) -> None:
    """Keep the extra state of modules, and the state of a loss that is not a module."""
    for module in (module for part in parts for module in part.modules()):
        # A module may replace a buffer by another tensor.
        undo.callback(_refill, module._buffers, dict(module._buffers))
        if type(module).get_extra_state is not nn.Module.get_extra_state:
            undo.callback(module.set_extra_state, deepcopy(module.get_extra_state()))
    if not isinstance(loss_fn, nn.Module) and hasattr(loss_fn, "load_state_dict"):
        undo.callback(loss_fn.load_state_dict, deepcopy(loss_fn.state_dict()))


def _copy(tensor: Tensor, value: Tensor) -> None:
    with torch.no_grad():
        tensor.copy_(value)


def _refill(own: dict[Any, Any], content: dict[Any, Any]) -> None:
    own.clear()
    own.update(content)
