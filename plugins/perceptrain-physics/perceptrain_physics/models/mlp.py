"""The network that papers on physics-informed learning start from."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from perceptrain.models import FFNN, Model
from perceptrain_physics.models.standardize import Numbers, Standardize


class MLP(Model):
    """A feed-forward network with standardised inputs and Xavier-normal weights.

    Args:
        layers: The sizes, ``[d, 50, 50, 50, 1]``: of the input, the hidden layers, the output.
        activation_function: A module, its class or a name, as `FFNN` takes it.
        mean: Of the inputs: a number for each, or one for all. A `Problem` has it.
        deviation: Of the inputs, in the same way. Points drawn uniformly from an interval of length
            ``l`` have ``l / sqrt(12)``.
        xavier: Start with Xavier-normal weights and zero biases; False leaves torch's own start.

    Raises:
        ConfigError: The sizes, the activation or the numbers cannot be.
    """

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
            start_xavier(self)

    def forward(self, x: Tensor) -> Tensor:
        """Give outputs of shape ``(N, outputs)`` at points of shape ``(N, d)``."""
        u: Tensor = self.network(self.standardize(x))
        return u


def start_xavier(model: nn.Module) -> None:
    """Give all linear layers Xavier-normal weights and zero biases."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_normal_(module.weight)
            nn.init.zeros_(module.bias)
