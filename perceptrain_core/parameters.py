"""The parameters and buffers of modules and optimizers, each once and in order."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn


def parameters_of(*parts: object) -> list[Tensor]:
    """Return the parameters of modules and optimizers, each once, in order.

    Args:
        parts: Modules and optimizers; any other object has no parameters.
    """
    return list(dict.fromkeys(parameter for part in parts for parameter in _parameters(part)))


def buffers_of(*parts: object) -> list[Tensor]:
    """Return the buffers of modules, each once, in order; other objects have none."""
    modules = (part for part in parts if isinstance(part, nn.Module))
    return list(dict.fromkeys(buffer for module in modules for buffer in module.buffers()))


def _parameters(part: object) -> Iterator[Tensor]:
    if isinstance(part, nn.Module):
        yield from part.parameters()
    for group in getattr(part, "param_groups", ()):
        yield from group["params"]
