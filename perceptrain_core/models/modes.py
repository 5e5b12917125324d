"""Training or evaluation mode for a while, and then every submodule's own mode again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import nn


def training(*objects: Any) -> AbstractContextManager[None]:
    """Put modules into training mode; objects that are no modules are passed over."""
    return _mode(True, objects)


def evaluating(*objects: Any) -> AbstractContextManager[None]:
    """Put modules into evaluation mode; objects that are no modules are passed over."""
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
