"""Steps of optimizers that evaluate the loss themselves, by calling a closure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from perceptrain_core.optimizer_steps import handles_trials


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
