"""A network whose weights are factorized into a scale and a direction per neuron."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from perceptrain_physics.checks import check_numbers
from perceptrain_physics.models.layer_sizes import sizes_in_one_list
from perceptrain_physics.models.mlp import MLP
from perceptrain_physics.models.standardize import Numbers


class RandomWeightFactorization(MLP):
    """A feed-forward network with factorized weight matrices, ``W = exp(s) * V``.

    Wang, Wang, Seidman, Perdikaris, "Random weight factorization improves the training of
    continuous neural representations", arXiv 2210.01274: each neuron has a trainable scale, drawn
    from a normal distribution at the start. The initial network is the same as an `MLP`; only the
    parameters that the optimizer trains differ.

    Args:
        layers: Layer sizes, such as ``[d, 50, 50, 50, 1]``.
        activation_function: A module, a module class or a name, as in `FFNN`.
        scale_mean: Mean of the initial ``s``; the paper recommends 0.5 or 1.
        scale_deviation: Standard deviation of the initial ``s``; the paper recommends 0.1.
        mean: Mean of the inputs: one number, or one per input.
        deviation: Standard deviation of the inputs, likewise.
        xavier: Initialize with Xavier-normal weights and zero biases instead of torch's defaults.

    Raises:
        ConfigError: A layer size, the activation or another option is invalid.
    """

    @sizes_in_one_list
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
        name = "RandomWeightFactorization"
        check_numbers(name, scale_mean=scale_mean)
        check_numbers(name, scale_deviation=scale_deviation, at_least=0)
        super().__init__(layers, activation_function, mean=mean, deviation=deviation, xavier=xavier)
        for module in [layer for layer in self.modules() if isinstance(layer, nn.Linear)]:
            scale = scale_mean + scale_deviation * torch.randn(module.out_features, 1)
            parametrize.register_parametrization(module, "weight", _Factors(scale))


class _Factors(nn.Module):
    """The parametrization ``W = exp(s) * V`` with trainable ``s`` and ``V``."""

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.scale = scale  # the initial scale, used by right_inverse

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        scale = self.scale.to(weight)
        return scale, weight / scale.exp()

    def forward(self, scale: Tensor, direction: Tensor) -> Tensor:
        return scale.exp() * direction
