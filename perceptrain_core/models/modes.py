"""Set training or evaluation mode temporarily, and restore the mode of every submodule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import nn


def training(*objects: Any) -> AbstractContextManager[None]:
    """Put modules into training mode; other objects are ignored."""
    return _mode(True, objects)


def evaluating(*objects: Any) -> AbstractContextManager[None]:
    """Put modules into evaluation mode; other objects are ignored."""
    return _mode(False, objects)


@contextmanager
def _mode(train: bool, objects: tuple[Any, ...]) -> Iterator[None]:
    modules = [item for item in objects if isinstance(item, nn.Module)]
    before = [(module, module.training) for item in modules for module in item.modules()]
    try:
        for module in modules:
            module.train(train)
        yield
    finally:
        for module, flag in before:
            module.training = flag
