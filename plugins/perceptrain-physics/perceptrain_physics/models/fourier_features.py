"""A network of random Fourier features of its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi

import torch
from torch import Tensor, nn

from perceptrain.errors import ConfigError
from perceptrain.models import FFNN, Model
from perceptrain_physics.models.mlp import start_xavier
from perceptrain_physics.models.standardize import Numbers, Standardize


class FourierFeatures(Model):
    """Sines and cosines of random frequencies, and a feed-forward network of them.

    Tancik et al., "Fourier features let networks learn high frequency functions in low dimensional
    domains", arXiv 2006.10739: the features are ``cos(2 pi x B)`` and ``sin(2 pi x B)``, with the
    entries of ``B`` drawn from a normal distribution once, and never trained.

    Args:
        layers: The sizes, ``[d, 50, 50, 1]``; the first hidden layer takes the features.
        activation_function: A module, its class or a name, as `FFNN` takes it.
        features: How many, an even number: half of them cosines, half of them sines.
        scale: The deviation of the frequencies. It matters most: too low fits smooth functions
            only, too high fits noise.
        mean: Of the inputs: a number for each, or one for all.
        deviation: Of the inputs, in the same way. The frequencies are those of what results.
        xavier: Start with Xavier-normal weights and zero biases; False leaves torch's own start.

    Attributes:
        frequencies: ``B``, of shape ``(d, features / 2)``; kept in ``state_dict``.

    Raises:
        ConfigError: The sizes, the activation or the numbers cannot be.
    """

    frequencies: Tensor

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
        if isinstance(features, bool) or not isinstance(features, int) or features < 2:
            raise ConfigError(f"features={features!r}: expected an even number of at least 2.")
        if features % 2 or not scale > 0:
            raise ConfigError(
                f"features={features!r} and scale={scale!r}: expected an even number, half of it "
                "sines and half cosines, and a scale above 0."
            )
        inputs = FFNN(layers).input_size  # which checks the sizes
        self.network = FFNN([features, *layers[1:]], activation_function)
        self.standardize = Standardize(inputs, mean, deviation)
        self.register_buffer("frequencies", scale * torch.randn(inputs, features // 2))
        if xavier:
            start_xavier(self)

    def forward(self, x: Tensor) -> Tensor:
        """Give outputs of shape ``(N, outputs)`` at points of shape ``(N, d)``."""
        angles = 2 * pi * self.standardize(x) @ self.frequencies
        u: Tensor = self.network(torch.cat([angles.cos(), angles.sin()], dim=-1))
        return u
