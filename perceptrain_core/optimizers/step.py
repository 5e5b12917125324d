"""One step of optimisation: batch, loss, gradients, update."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from perceptrain_core.data.device import data_to_device
from perceptrain_core.tensors import detached
from perceptrain_core.types import LossFunction, Metrics, StepResult


def optimize_step(
    model: nn.Module,
    optimizer: Optimizer,
    loss_fn: LossFunction,
    xs: Any,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> StepResult:
    """Take one step of the optimizer on one batch.

    Args:
        model: The model, in training mode.
        optimizer: Any of ``torch.optim``; one that needs a closure (L-BFGS) gets it.
        loss_fn: Evaluated once, or as often as the closure is called. If it has a method
            ``begin_step``, that is called once before.
        xs: The batch.
        device: Where to move the batch; ``None`` leaves it.
        dtype: For the floating point tensors of the batch; ``None`` leaves them.

    Returns:
        The loss and the metrics, detached, both from before the update.
    """
    xs = data_to_device(xs, device, dtype)
    begin_step(loss_fn)
    if needs_closure(optimizer):
        return _step_with_closure(model, optimizer, loss_fn, xs)
    clear_gradients(optimizer)
    loss, metrics = loss_fn(xs, model)
    loss.backward()  # type: ignore[no-untyped-call]
    result = loss.detach(), detached(metrics)  # before the step changes what they may share
    optimizer.step()
    return result


def _step_with_closure(
    model: nn.Module, optimizer: Optimizer, loss_fn: LossFunction, xs: Any
) -> StepResult:
    first: list[tuple[Tensor, Metrics]] = []

    def closure() -> Tensor:
        clear_gradients(optimizer)
        loss, metrics = loss_fn(xs, model)
        loss.backward()  # type: ignore[no-untyped-call]
        if not first:
            first.append((loss.detach(), detached(metrics)))
        return loss

    step_or_undo(optimizer, closure)
    return first[0]


def step_or_undo(optimizer: Optimizer, closure: Callable[[], Tensor]) -> None:
    """Take a step with a closure; if the closure gives up, put parameters and state back.

    A loss may give up at a trial point of the line search, which is nowhere to stay.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    before = [p.detach().clone() for p in parameters]
    state = _copied(optimizer.state)
    try:
        optimizer.step(closure)  # type: ignore[arg-type]
    except BaseException:
        with torch.no_grad():
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)
        optimizer.state.clear()
        optimizer.state.update(state)
        raise


def _copied(state: Any) -> Any:
    """Copy what a step changes in place: of the history of L-BFGS the lists, not the vectors."""
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, Tensor):
        return state.clone()
    return list(state) if isinstance(state, list) else state


def clear_gradients(optimizer: Optimizer) -> None:
    """Let go of the gradients of all parameters of an optimizer."""
    # Optimizer.zero_grad reports itself to the profiler, which costs many times what it does.
    if type(optimizer).zero_grad is not Optimizer.zero_grad:
        optimizer.zero_grad(set_to_none=True)
        return
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def needs_closure(optimizer: Optimizer) -> bool:
    """Whether ``step`` of an optimizer cannot be called without a closure, as it stands now.

    One that changes has an attribute ``needs_closure``; else the signature of its class says it.
    """
    own = getattr(optimizer, "needs_closure", None)
    return _class_needs_closure(type(optimizer)) if own is None else bool(own)  # type: ignore[arg-type]


def may_need_closure(optimizer: Optimizer) -> bool:
    """Whether an optimizer needs a closure now, or is one that changes and may need it later."""
    return hasattr(optimizer, "needs_closure") or needs_closure(optimizer)


def begin_step(loss_fn: Any) -> None:
    """Tell a loss that an optimizer step begins, if it has a method ``begin_step`` to be told."""
    told = getattr(loss_fn, "begin_step", None)
    if told is not None:
        told()


# By the class, for a learning-rate scheduler of torch hides the signature of its object's step.
@cache
def _class_needs_closure(optimizer_type: type[Optimizer]) -> bool:
    closure = inspect.signature(optimizer_type.step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty
