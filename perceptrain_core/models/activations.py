"""Activation functions by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from torch import nn

from perceptrain_core.errors import ConfigError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "mish": nn.Mish,
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


def activation_factory(
    activation: nn.Module | type[nn.Module] | str,
) -> Callable[[], nn.Module]:
    """Return a function that builds the activation of each layer.

    Args:
        activation: A name, or a class: each layer gets a module of its own. An instance: all
            layers share it.

    Returns:
        A function without arguments.

    Raises:
        ConfigError: ``activation`` is none of these.
    """
    if isinstance(activation, nn.Module):
        return lambda: activation
    if inspect.isclass(activation) and issubclass(activation, nn.Module):
        return activation
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    raise ConfigError(
        f"activation_function={activation!r}: expected an nn.Module such as nn.Tanh(), its class, "
        f"or one of the names {', '.join(ACTIVATIONS)}."
    )
