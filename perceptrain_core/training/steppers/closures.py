"""Optimizers that evaluate the loss themselves, by calling a closure."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


def step_or_undo(optimizer: Optimizer, closure: Callable[[], Tensor]) -> None:
    """Take a step with a closure; if the closure raises, restore parameters and optimizer state.

    A loss may raise at a trial point of the line search, where the parameters must not stay. An
    optimizer that `handles_trials` returns to its last accepted point itself, and is not copied.
    """
    if handles_trials(optimizer):
        optimizer.step(closure)  # type: ignore[arg-type]
        return
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
    """Copy what a step changes in place: the lists in the history of L-BFGS, not their vectors."""
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, Tensor):
        return state.clone()
    return list(state) if isinstance(state, list) else state


def handles_trials(optimizer: Optimizer) -> bool:
    """Whether an optimizer deals with trial points at which the loss raises or is not finite.

    It has a true attribute ``handles_trials``. A loss that is NaN is a step too long for it; if the
    closure raises, it restores parameters and state that belong together.
    """
    return bool(getattr(optimizer, "handles_trials", False))


def needs_closure(optimizer: Optimizer) -> bool:
    """Whether the next ``step`` of an optimizer requires a closure.

    An optimizer whose answer changes has an attribute ``needs_closure``; for others the signature
    of ``step`` decides.
    """
    own = getattr(optimizer, "needs_closure", None)
    return _class_needs_closure(type(optimizer)) if own is None else bool(own)  # type: ignore[arg-type]


def may_need_closure(optimizer: Optimizer) -> bool:
    """Whether an optimizer requires a closure now, or may require one later in the run."""
    return hasattr(optimizer, "needs_closure") or needs_closure(optimizer)


# By class, because a torch scheduler replaces the ``step`` of its optimizer by a wrapper.
@cache
def _class_needs_closure(optimizer_type: type[Optimizer]) -> bool:
    closure = inspect.signature(optimizer_type.step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty
