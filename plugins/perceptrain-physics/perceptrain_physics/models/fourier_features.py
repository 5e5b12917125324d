"""Random Fourier features of the inputs, followed by a feed-forward network."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi

import torch
from torch import Tensor, nn

from perceptrain.errors import ConfigError
from perceptrain.models import FFNN, Model
from perceptrain_physics.checks import check_numbers, is_number
from perceptrain_physics.models.layer_sizes import sizes_in_one_list
from perceptrain_physics.models.mlp import init_xavier
from perceptrain_physics.models.standardize import Numbers, Standardize


class FourierFeatures(Model):
    """A feed-forward network on random Fourier features of its inputs.

    Tancik et al., "Fourier features let networks learn high frequency functions in low dimensional
    domains", arXiv 2006.10739: the features are ``cos(2 pi x B)`` and ``sin(2 pi x B)``. The
    entries of ``B`` are drawn once from a normal distribution and are not trained.

    Args:
        layers: Layer sizes, such as ``[d, 50, 50, 1]``. The features feed the first hidden layer.
        activation_function: A module, a module class or a name, as in `FFNN`.
        features: The number of features, even: half of them cosines, half sines.
        scale: Standard deviation of the frequencies. This is the most important option: a low
            scale fits only smooth functions, a high one fits noise.
        mean: Mean of the inputs: one number, or one per input.
        deviation: Standard deviation of the inputs, likewise. The frequencies apply to the
            standardized inputs.
        xavier: Initialize with Xavier-normal weights and zero biases instead of torch's defaults.

    Attributes:
        frequencies: ``B``, of shape ``(d, features / 2)``; saved in ``state_dict``.

    Raises:
        ConfigError: A layer size, the activation or another option is invalid.
    """

    frequencies: Tensor

    @sizes_in_one_list
    def __init__(
        self,
        layers: Sequence[int],
        activation_function: nn.Module | type[nn.Module] | str = "tanh",
        *,
        features: int = 64,
        scale: float = 1.0,
        mean: Numbers = 0.0,
        deviation: Numbers = 1.0,
        xavier: bool = True,
    ) -> None:
        super().__init__()
        if not is_number(features, whole=True) or features < 2 or features % 2:
            raise ConfigError(
                f"features={features!r}: expected an even number of features, at least 2."
            )
        check_numbers("FourierFeatures", scale=scale, above=0)
        inputs = FFNN(layers).input_size  # FFNN checks the sizes
        self.network = FFNN([features, *layers[1:]], activation_function)
        self.standardize = Standardize(inputs, mean, deviation)
        self.register_buffer("frequencies", scale * torch.randn(inputs, features // 2))
        if xavier:
            init_xavier(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs of shape ``(N, outputs)`` at points of shape ``(N, d)``."""
        angles = 2 * pi * self.standardize(x) @ self.frequencies
        u: Tensor = self.network(torch.cat([angles.cos(), angles.sin()], dim=-1))
        return u
