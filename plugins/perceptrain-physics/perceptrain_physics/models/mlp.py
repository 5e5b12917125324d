"""The standard feed-forward network of physics-informed learning."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from perceptrain.models import FFNN, Model
from perceptrain_physics.models.layer_sizes import sizes_in_one_list
from perceptrain_physics.models.standardize import Numbers, Standardize


class MLP(Model):
    """A feed-forward network with standardized inputs and Xavier-normal initialization.

    Args:
        layers: Layer sizes from input to output, such as ``[d, 50, 50, 50, 1]``.
        activation_function: A module, a module class or a name, as in `FFNN`.
        mean: Mean of the inputs: one number, or one per input. The `Box` of a problem has it.
        deviation: Standard deviation of the inputs, likewise. It is ``l / sqrt(12)`` for points
            drawn uniformly from an interval of length ``l``.
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
        mean: Numbers = 0.0,
        deviation: Numbers = 1.0,
        xavier: bool = True,
    ) -> None:
        super().__init__()
        self.network = FFNN(layers, activation_function)
        self.standardize = Standardize(self.network.input_size, mean, deviation)
        if xavier:
            init_xavier(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs of shape ``(N, outputs)`` at points of shape ``(N, d)``."""
        u: Tensor = self.network(self.standardize(x))
        return u


def init_xavier(model: nn.Module) -> None:
    """Initialize all linear layers with Xavier-normal weights and zero biases."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_normal_(module.weight)
            nn.init.zeros_(module.bias)
