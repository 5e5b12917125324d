"""A feed-forward neural network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import ConfigError, DataError, PerceptrainError, ShapeError
from perceptrain_core.models.activations import activation_factory
from perceptrain_core.models.base import Model
from perceptrain_core.models.sizes import DataSizes
from perceptrain_core.tensors import describe, only_tensor
from perceptrain_core.user_warnings import warn_user

_OTHER_DEFAULT = (
    "These weights are from the FFNN of perceptrain 0.1.0, whose default activation is GELU; this "
    "network has tanh. If they were trained with the default, load them into "
    'FFNN(layers, activation_function="gelu").'
)


class FFNN(Model):
    """A feed-forward neural network: linear layers with an activation between them.

    ``FFNN([2, 16, 16, 1])`` maps tensors of shape ``(..., 2)`` to ``(..., 1)``; there is
    no activation after the last layer. Weights are initialized by ``nn.Linear``.

    Args:
        layers: The sizes of the input, of each hidden layer and of the output; at least two.
        activation_function: A module that all layers share, such as ``nn.Tanh()``; or a class or
            a name, such as "tanh", "relu", "gelu" or "silu", from which each layer gets its own.

    A run file may have ``hidden = [16, 16]`` instead of ``layers``: the first and the last size
    then follow from the data.

    Weights that the FFNN of perceptrain 0.1.0 saved, as ``nn.0.weight`` and so on, can be loaded.
    Its default activation is GELU: load weights trained with it into ``FFNN(layers, "gelu")``.

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
        self.register_load_state_dict_pre_hook(_rename_saved)  # type: ignore[no-untyped-call]

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

    @staticmethod
    def complete_options(options: Mapping[str, Any], sizes: DataSizes) -> dict[str, Any]:
        """Return options with ``layers`` instead of ``hidden``, the sizes of the hidden layers.

        Raises:
            ConfigError: Both are given, or ``hidden`` is not a list of sizes.
        """
        if "hidden" not in options:
            return dict(options)
        hidden = options["hidden"]
        if "layers" in options:
            raise ConfigError("hidden and layers are both given: leave one of them out.")
        if not isinstance(hidden, Sequence) or isinstance(hidden, str):
            raise ConfigError(f"hidden={hidden!r}: expected a list of sizes, such as [64, 64].")
        others = {name: value for name, value in options.items() if name != "hidden"}
        return {"layers": [sizes.in_features, *hidden, sizes.out_features], **others}

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate the network.

        Args:
            x: Inputs of shape ``(..., input_size)``, in the dtype of the parameters; or a tuple or
                list of one such tensor, the batch of a loader without labels.

        Returns:
            Outputs of shape ``(..., output_size)``, in the same dtype.

        Raises:
            DataError: ``x`` is not a tensor, or its dtype is not that of the parameters.
            ShapeError: Its last dimension is not ``input_size``.
        """
        x = only_tensor(x)
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

    def rename_saved(self, state: dict[str, Any], prefix: str) -> None:
        """Rename weights that the FFNN of perceptrain 0.1.0 saved.

        Args:
            state: The state of this module or of one around it, changed in place.
            prefix: The path of this module in the state, such as ``"nn."``.

        Warns:
            UserWarning: There are such weights, and this network has the default activation.
        """
        pattern = re.compile(rf"{re.escape(prefix)}nn\.(\d+)\.(\w+)")
        found = [match for name in state if (match := pattern.fullmatch(name))]
        if not found:
            return
        saved = sorted({int(match[1]) for match in found})
        own = [number for number, each in enumerate(self.network) if [*each.parameters()]]
        places = dict(zip(saved, own, strict=False)) if len(saved) == len(own) else {}
        for match in found:
            place = places.get(int(match[1]), match[1])
            state[f"{prefix}network.{place}.{match[2]}"] = state.pop(match[0])
        if isinstance(self.activation_function, nn.Tanh):
            warn_user(_OTHER_DEFAULT)

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
                f"model.to(...); in a training, TrainConfig(dtype=...) converts both."
            )
        if x.shape[-1:] != (self.input_size,):
            return ShapeError(
                f"FFNN got inputs of shape {tuple(x.shape)}; expected (..., {self.input_size}), "
                f"for its layers are {list(self.layers)}. {_reshape(x, self.input_size)}"
            )
        return None


def _rename_saved(module: FFNN, state: dict[str, Any], prefix: str, *_: Any) -> None:
    module.rename_saved(state, prefix)


def _advice(x: object) -> str:
    if isinstance(x, Mapping):
        return "A dict of points is for a PINN: PINN(nn=model, equations={...})."
    if isinstance(x, (tuple, list)):
        return "A batch (inputs, labels) is for a loss, which passes only the inputs to the model."
    return "Convert it first, for example with perceptrain.numpy_to_tensor."


def _reshape(x: Tensor, size: int) -> str:
    if size == 1 and x.ndim < 2:
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
