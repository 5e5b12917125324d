"""A feed-forward neural network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import ConfigError, DataError, PerceptrainError, ShapeError
from perceptrain_core.models.activations import activation_factory
from perceptrain_core.models.base import Model
from perceptrain_core.tensors import describe


class FFNN(Model):
    """A feed-forward neural network: linear layers with an activation between them.

    ``FFNN([2, 16, 16, 1])`` maps tensors of shape ``(..., 2)`` to ``(..., 1)``; there is
    no activation after the last layer. Weights are initialized by ``nn.Linear``.

    Args:
        layers: The sizes of the input, of each hidden layer and of the output; at least two.
        activation_function: A module that all layers share, such as ``nn.Tanh()``; or a class or
            a name, such as "tanh", "relu", "gelu" or "silu", from which each layer gets its own.

    Attributes:
        layers: The sizes, a tuple.
        network: The layers, an ``nn.Sequential``.

    Raises:
        ConfigError: The sizes or the activation are invalid.
    """

    def __init__(
        self,
        layers: Sequence[int],
        activation_function: nn.Module | type[nn.Module] | str = "tanh",
    ) -> None:
        super().__init__()
        self.layers = _checked(layers)
        activation = activation_factory(activation_function)
        modules: list[nn.Module] = []
        for inputs, outputs in pairwise(self.layers):
            modules += [nn.Linear(inputs, outputs), activation()]
        self.network = nn.Sequential(*modules[:-1])

    @property
    def activation_function(self) -> nn.Module | None:
        """The activation after the first layer; ``None`` if there is only one layer."""
        return self.network[1] if len(self.network) > 1 else None

    @property
    def input_size(self) -> int:
        """The last dimension of the inputs."""
        return self.layers[0]

    @property
    def output_size(self) -> int:
        """The last dimension of the outputs."""
        return self.layers[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate the network.

        Args:
            x: Inputs of shape ``(..., input_size)``, in the dtype of the parameters.

        Returns:
            Outputs of shape ``(..., output_size)``, in the same dtype.

        Raises:
            DataError: ``x`` is not a tensor, or its dtype is not that of the parameters.
            ShapeError: Its last dimension is not ``input_size``.
        """
        y = x
        try:
            for module in self.network:
                y = module(y)
        except (RuntimeError, TypeError) as error:
            reason = self._misfit(x)
            if reason is None:
                raise
            raise reason from error
        return y

    def _misfit(self, x: Any) -> PerceptrainError | None:
        """Return why ``x`` cannot be an input, or ``None`` if it can."""
        if not isinstance(x, Tensor):
            return DataError(
                f"FFNN got {describe(x)}; expected a tensor of shape (..., {self.input_size}). "
                f"{_advice(x)}"
            )
        dtype = next(self.parameters()).dtype
        if x.dtype is not dtype and not torch.is_autocast_enabled(x.device.type):
            return DataError(
                f"FFNN got inputs of dtype {x.dtype}, and its parameters are {dtype}; expected "
                f"one dtype. Convert the inputs with x.to({dtype}), or the model with "
                f"model.to(...)."
            )
        if x.shape[-1:] != (self.input_size,):
            return ShapeError(
                f"FFNN got inputs of shape {tuple(x.shape)}; expected (..., {self.input_size}), "
                f"for its layers are {list(self.layers)}. {_reshape(x, self.input_size)}"
            )
        return None


def _advice(x: object) -> str:
    if isinstance(x, Mapping):
        return "A dict of points is for a PINN: PINN(nn=model, equations={...})."
    if isinstance(x, (tuple, list)):
        return "A batch (inputs, labels) is for a loss, which passes only the inputs to the model."
    return "Convert it first, for example with perceptrain.numpy_to_tensor."


def _reshape(x: Tensor, size: int) -> str:
    if size == 1:
        return "Use x.unsqueeze(-1)."
    return f"Change the first size to {x.shape[-1]}, or the data." if x.ndim else "Change the data."


def _checked(layers: Any) -> tuple[int, ...]:
    sizes = tuple(layers) if isinstance(layers, Sequence) and not isinstance(layers, str) else ()
    if len(sizes) > 1 and all(type(size) is int and size > 0 for size in sizes):
        return sizes
    raise ConfigError(
        f"layers={layers!r}: expected two or more positive integers, the sizes from the input to "
        "the output, such as [2, 16, 16, 1]."
    )
