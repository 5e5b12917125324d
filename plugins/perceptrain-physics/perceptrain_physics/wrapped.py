"""A model as it is trained: perhaps wrapped, perhaps in training mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from perceptrain import PINN


def pinn_in(model: Any) -> PINN | None:
    """Give the PINN that a model is, or wraps, as ``DataParallel`` and ``torch.compile`` do."""
    while not isinstance(model, PINN):
        model = getattr(model, "_orig_mod", getattr(model, "module", None))
        if model is None:
            return None
    return model


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and then each of its modules into its own again."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
