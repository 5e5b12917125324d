"""Optimizers that evaluate other weights than those they train, as schedule-free ones do.

Such an optimizer has the methods ``train()`` and ``eval()``, which switch the parameters between
the two, and the key ``"train_mode"`` in its groups, which says which ones they are now.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim import Optimizer


def has_modes(optimizer: Any) -> bool:
    """Whether an optimizer evaluates other weights than those it trains."""
    switches = all(callable(getattr(optimizer, name, None)) for name in ("train", "eval"))
    return switches and any("train_mode" in group for group in _groups(optimizer))


def is_training(optimizer: Any) -> bool:
    """Whether the parameters of such an optimizer are now those it trains."""
    return has_modes(optimizer) and any(group.get("train_mode") for group in _groups(optimizer))


def begin_training(optimizer: Any) -> None:
    """Switch to the weights to train; other optimizers are left alone."""
    if has_modes(optimizer):
        optimizer.train()


def end_training(optimizer: Any) -> None:
    """Switch to the weights to evaluate; other optimizers are left alone."""
    if has_modes(optimizer):
        optimizer.eval()


def mark_evaluated(optimizer: Any) -> None:
    """Tell an optimizer that its parameters have been set to weights to evaluate."""
    if has_modes(optimizer):
        for group in _groups(optimizer):
            if "train_mode" in group:
                group["train_mode"] = False


@contextmanager
def evaluated_weights(optimizer: Any) -> Iterator[None]:
    """Use the weights to evaluate inside a ``with`` block; other optimizers are left alone.

    Afterwards the parameters are exactly as before: ``train()`` undoes ``eval()`` only up to
    rounding, so a validation would otherwise change the training.
    """
    if not is_training(optimizer):
        yield
        return
    parameters = [p for group in _groups(optimizer) for p in group["params"]]
    before = [p.detach().clone() for p in parameters]
    optimizer.eval()
    try:
        yield
    finally:
        optimizer.train()
        with torch.no_grad():
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)


def _groups(optimizer: Any) -> list[dict[str, Any]]:
    return optimizer.param_groups if isinstance(optimizer, Optimizer) else []
