"""The modified MLP of the learning-rate annealing paper."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from perceptrain.errors import ConfigError
from perceptrain.models import FFNN, Model
from perceptrain_physics.models.layer_sizes import sizes_in_one_list
from perceptrain_physics.models.mlp import init_xavier
from perceptrain_physics.models.standardize import Numbers, Standardize


class ModifiedMLP(Model):
    """A feed-forward network whose hidden layers are mixed with two encodings of the input.

    Wang, Teng, Perdikaris, "Understanding and mitigating gradient pathologies in physics-informed
    neural networks", arXiv 2001.04536. With ``U = act(x W1 + b1)`` and ``V = act(x W2 + b2)``
    each hidden layer is ``H' = (1 - Z) * U + Z * V``, where ``Z = act(H W + b)``.

    Args:
        layers: Layer sizes, such as ``[d, 50, 50, 50, 1]``. All hidden layers have the same size.
        activation_function: A module, a module class or a name, as in `FFNN`.
        mean: Mean of the inputs: one number, or one per input. The paper standardizes its inputs.
        deviation: Standard deviation of the inputs, likewise.
        xavier: Initialize with Xavier-normal weights and zero biases, as in the paper, instead of
            torch's defaults.

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
        hidden = self.network.layers[1:-1]
        if len(set(hidden)) != 1:
            raise ConfigError(
                f"layers={list(layers)}: expected one or more hidden layers of the same size, such "
                "as [2, 50, 50, 1], because each is mixed with encodings of that size."
            )
        inputs = self.network.input_size
        self.standardize = Standardize(inputs, mean, deviation)
        activation = self.network.network[1]
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Linear(inputs, hidden[0]), activation) for _ in range(2)
        )
        if xavier:
            init_xavier(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs of shape ``(N, outputs)`` at points of shape ``(N, d)``."""
        h = self.standardize(x)
        u, v = (encoder(h) for encoder in self.encoders)
        *hidden, last = self.network.network
        for linear, activation in zip(hidden[::2], hidden[1::2], strict=True):
            z = activation(linear(h))
            h = (1 - z) * u + z * v
        out: Tensor = last(h)
        return out
