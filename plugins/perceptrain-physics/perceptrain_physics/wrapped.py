"""Unwrapping a model, and putting it into evaluation mode temporarily."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from perceptrain import PINN


def pinn_in(model: Any) -> PINN | None:
    """Return the PINN inside ``DataParallel``, ``torch.compile`` and the like, or None."""
    while not isinstance(model, PINN):
        model = getattr(model, "_orig_mod", getattr(model, "module", None))
        if model is None:
            return None
    return model


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch a model to evaluation mode, and restore the mode of each module afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
