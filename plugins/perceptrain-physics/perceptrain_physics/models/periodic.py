"""A network that is exactly periodic in selected inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import pi
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain import get_model
from perceptrain.errors import ConfigError, ShapeError
from perceptrain.models import Model
from perceptrain_physics.checks import is_list, is_number


class Periodic(Model):
    """Replace periodic inputs of a network by their cosine and sine.

    Dong, Ni, "A method for representing periodic functions and enforcing exactly periodic boundary
    conditions with deep neural networks", J. Comput. Phys. 435, 2021. A periodic input ``x``
    becomes ``cos(2 pi x / period)`` and ``sin(2 pi x / period)``; other inputs are passed through.
    The values and all derivatives are then equal at both ends, before and after training. ::

        network = Periodic(FFNN([3, 50, 50, 1]), periods=[None, 2.0])  # t, and a periodic x

    Args:
        nn: The network of the embedded inputs; it has one more input per periodic input. Or a
            registered model as a mapping, ``{"name": "mlp", "layers": [3, 50, 50, 1]}``.
        periods: The period of each input. Use None, or 0 in a run file, for an input that is not
            periodic.

    Raises:
        ConfigError: No input is periodic, or a period is negative or not finite.
    """

    def __init__(self, nn: nn.Module | Mapping[str, Any], periods: Sequence[float | None]) -> None:
        super().__init__()
        given = periods if is_list(periods) else []
        lengths = [0.0 if period is None else period for period in given]
        if not all(map(_is_length, lengths)) or not any(lengths):
            raise ConfigError(
                f"periods={periods!r}: expected a period above 0 for each input, or None if the "
                "input is not periodic, and at least one period."
            )
        self.nn = get_model(nn)
        self.periods = tuple(lengths)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs of shape ``(N, outputs)`` at points of shape ``(N, d)``.

        Raises:
            ShapeError: ``d`` is not the number of periods.
        """
        if x.shape[-1:] != (len(self.periods),):
            raise ShapeError(
                f"Periodic got inputs of shape {tuple(x.shape)}; expected "
                f"(..., {len(self.periods)}), a column for each period."
            )
        parts = []
        for axis, period in enumerate(self.periods):
            column = x[..., axis : axis + 1]
            angle = (2 * pi / period) * column if period else column
            parts += [angle.cos(), angle.sin()] if period else [column]
        u: Tensor = self.nn(torch.cat(parts, dim=-1))
        return u

    def extra_repr(self) -> str:
        """Show the periods."""
        return f"periods={self.periods}"


def _is_length(value: Any) -> bool:
    return is_number(value) and value >= 0
