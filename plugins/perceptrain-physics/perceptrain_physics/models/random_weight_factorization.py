"""A network whose weights are products of a scale and a direction for each neuron."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from perceptrain.errors import ConfigError
from perceptrain_physics.models.mlp import MLP
from perceptrain_physics.models.standardize import Numbers


class RandomWeightFactorization(MLP):
    """A feed-forward network with each weight matrix factorised, ``W = exp(s) * V``.

    Wang, Wang, Seidman, Perdikaris, "Random weight factorization improves the training of
    continuous neural representations", arXiv 2210.01274: a trainable scale for each neuron, which
    starts from a normal distribution. The network starts as an `MLP` would; what changes is the way
    that the optimizer sees it.

    Args:
        layers: The sizes, ``[d, 50, 50, 50, 1]``.
        activation_function: A module, its class or a name, as `FFNN` takes it.
        scale_mean: The mean of ``s`` at the start; the paper recommends 0.5 or 1.
        scale_deviation: Its deviation; the paper recommends 0.1.
        mean: Of the inputs: a number for each, or one for all.
        deviation: Of the inputs, in the same way.
        xavier: Start with Xavier-normal weights and zero biases; False leaves torch's own start.

    Raises:
        ConfigError: The sizes, the activation or the numbers cannot be.
    """

    def __init__(
        self,
        layers: Sequence[int],
        activation_function: nn.Module | type[nn.Module] | str = "tanh",
        *,
        scale_mean: float = 1.0,
        scale_deviation: float = 0.1,
        mean: Numbers = 0.0,
        deviation: Numbers = 1.0,
        xavier: bool = True,
    ) -> None:
        if not scale_deviation >= 0:
            raise ConfigError(f"scale_deviation={scale_deviation!r}: expected a number from 0 on.")
        super().__init__(layers, activation_function, mean=mean, deviation=deviation, xavier=xavier)
        linear = [module for module in self.modules() if isinstance(module, nn.Linear)]
        for module in linear:
            scale = scale_mean + scale_deviation * torch.randn(module.out_features, 1)
            parametrize.register_parametrization(module, "weight", _Factors(scale))


class _Factors(nn.Module):
    """``W = exp(s) * V``: the scales and directions are what is trained."""

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.scale = scale  # until the factors are made

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        scale = self.scale.to(weight)
        return scale, weight / scale.exp()

    def forward(self, scale: Tensor, direction: Tensor) -> Tensor:
        return scale.exp() * direction
