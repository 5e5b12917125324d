"""A few steps of training that leave no trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from perceptrain_core.data import DictDataLoader
from perceptrain_core.errors import TrainingError
from perceptrain_core.models.modes import training
from perceptrain_core.training.contract.nonfinite_guard import make_guard
from perceptrain_core.training.precision import in_precision
from perceptrain_core.training.resolve import make_scaler, make_step
from perceptrain_core.training.resume.data_position import Feed

#: Takes a step on some batches and gives the mean of their losses from before it.
Step = Callable[[list[Any]], float]


@contextmanager
def trial(trainer: Any, data: Any) -> Iterator[tuple[Step, Feed]]:
    """Train a trainer's model for a while, and put everything back, whatever happens.

    The model, the loss and the optimizer are as they were afterwards, with their gradients,
    states and learning rates, and so are the random generators, those of the data too. No callback
    is called. Before, the parts are brought to the device, as for every use of the trainer.

    Args:
        trainer: The trainer; steps are taken as its ``fit`` does.
        data: Where batches are to come from.

    Yields:
        A function that takes a step, and the batches of each step. It raises NonFiniteLossError
        where the loss is NaN or infinite, before parameters have seen it.

    Raises:
        TrainingError: There is no optimizer, it uses no gradients, or this is one of several
            processes.
    """
    if trainer.engine.world_size > 1:
        raise TrainingError(
            f"A trial is made in one process, and this is one of {trainer.engine.world_size}: make "
            "it in a script of its own, which torchrun does not start."
        )
    if not trainer.use_grad:
        raise TrainingError(
            f"find_lr and overfit_batch take steps along gradients, and the optimizer, "
            f"{type(trainer.optimizer).__name__}, uses none. Call them with one that does: inside "
            "\"with trainer.enable_grad_opt({'name': 'adam', 'lr': 1e-3}):\"."
        )
    config, device = trainer.config, trainer.engine.device
    trainer._prepare()
    model, optimizer = trainer.model, trainer.optimizer
    loss_fn = in_precision(trainer.loss_fn, config.precision, device)
    # The loss is read at each step anyway, which the guard of a GPU would avoid.
    guard = make_guard(loss_fn, optimizer, "raise", torch.device("cpu"), lambda: "in a trial")
    scaler = make_scaler(config, optimizer, device)
    take_step = make_step(config, optimizer, trainer.optimize_step, scaler)

    def step(batches: list[Any]) -> float:
        places = {"device": device, "dtype": trainer.engine.dtype}
        results, _ = take_step(trainer._model, optimizer, guard, batches, **places)
        losses = [float(loss) for loss, _ in filter(None, results)]
        return fmean(losses)

    if isinstance(data, DictDataLoader):  # its infinite loaders go on from where they are
        data = DictDataLoader(data.dataloaders)
    feed = Feed(
        trainer._epochs(data, "train", config.shuffle, config.accumulate), config.accumulate
    )
    with ExitStack() as undo, training(model, trainer.loss_fn):
        undo.callback(feed.go_to, feed.here())
        parts = [part for part in (model, trainer.loss_fn) if isinstance(part, nn.Module)]
        _keep_optimizer(undo, optimizer)
        _keep_tensors(undo, parts, optimizer)
        _keep_states(undo, parts, trainer.loss_fn)
        undo.callback(guard.release)
        yield step, feed


def _keep_optimizer(undo: ExitStack, optimizer: Optimizer) -> None:
    """Let the optimizer work on copies of its state and groups, and give it its own again."""
    undo.callback(_refill, optimizer.state, dict(optimizer.state))
    optimizer.state.update({key: deepcopy(state) for key, state in optimizer.state.items()})
    for group in optimizer.param_groups:
        undo.callback(_refill, group, dict(group))
        group.update({k: deepcopy(value) for k, value in group.items() if k != "params"})


def _keep_tensors(undo: ExitStack, parts: list[nn.Module], optimizer: Optimizer) -> None:
    """Copy parameters and buffers, and set gradients aside."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    parameters += [p for part in parts for p in part.parameters()]
    buffers = [buffer for part in parts for buffer in part.buffers()]
    for tensor in {id(tensor): tensor for tensor in (*parameters, *buffers)}.values():
        undo.callback(_copy, tensor, tensor.detach().clone())
    for parameter in parameters:
        undo.callback(setattr, parameter, "grad", parameter.grad)
        parameter.grad = None


def _keep_states(undo: ExitStack, parts: list[nn.Module], loss_fn: Any) -> None:
    """Keep what modules have beside tensors, and the state of a loss that is no module."""
    for module in (module for part in parts for module in part.modules()):
        # A module may put another tensor in the place of a buffer.
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
