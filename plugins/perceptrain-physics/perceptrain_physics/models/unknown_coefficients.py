"""A network that also returns unknown coefficients of an equation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain import get_model
from perceptrain.errors import ConfigError
from perceptrain.models import Model
from perceptrain_physics.checks import is_number


class UnknownCoefficients(Model):
    """Append trained positive coefficients to the outputs of a network, the same in every row.

    In an inverse problem, equations read the coefficients from the network, so that they work
    with copies of the model, in several processes, and with any optimizer. ::

        network = UnknownCoefficients(MLP([1, 16, 1]), {"k": 1.0})

        def decay(t, network):  # u' = -k u
            u, k = network(t).split(1, dim=1)
            return grad(u, t) + k * u

    A coefficient is the exponential of a parameter: it stays above 0, and steps are relative to it.

    Args:
        nn: The network, or a registered model as a mapping with its name and options.
        coefficients: The initial value of each coefficient, above 0, in the order of the outputs.

    Raises:
        ConfigError: There are no coefficients, or one is not above 0.
    """

    def __init__(
        self, nn: nn.Module | Mapping[str, Any], coefficients: Mapping[str, float]
    ) -> None:
        super().__init__()
        values = list(coefficients.values()) if isinstance(coefficients, Mapping) else []
        if not values or not all(is_number(value) and value > 0 for value in values):
            raise ConfigError(
                f"coefficients={coefficients!r}: expected a dict with an initial value above 0 for "
                'each name, such as {"k": 1.0}.'
            )
        self.nn = get_model(nn)
        self.names = tuple(coefficients)
        self.logarithms = _parameter([coefficients[name] for name in self.names])

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's outputs followed by the coefficients, a row for each point."""
        out: Tensor = self.nn(x)
        coefficients = self.logarithms.exp().to(out).expand(*out.shape[:-1], -1)
        return torch.cat([out, coefficients], dim=-1)

    def values(self) -> dict[str, float]:
        """Return the current coefficients by name."""
        return dict(zip(self.names, self.logarithms.detach().exp().tolist(), strict=True))

    def extra_repr(self) -> str:
        """Name the coefficients."""
        return f"coefficients: {', '.join(self.names)}"


def _parameter(values: list[float]) -> nn.Parameter:
    return nn.Parameter(torch.tensor([float(value) for value in values]).log())
