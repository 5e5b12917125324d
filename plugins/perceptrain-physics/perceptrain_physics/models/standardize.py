"""Inputs with mean 0 and deviation 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from perceptrain.errors import ConfigError, ShapeError

#: One number for all inputs, or a number for each.
Numbers: TypeAlias = float | Sequence[float] | Tensor


class Standardize(nn.Module):
    """Subtract a mean from each input, and divide by a deviation: ``(x - mean) / deviation``.

    Args:
        inputs: The number of inputs ``d``.
        mean: A number for each, or one for all.
        deviation: A number above 0 for each, or one for all.

    Raises:
        ConfigError: The numbers are not so many, or a deviation is not above 0.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, inputs: int, mean: Numbers = 0.0, deviation: Numbers = 1.0) -> None:
        super().__init__()
        self.register_buffer("mean", _one_each("mean", mean, inputs))
        self.register_buffer("deviation", _one_each("deviation", deviation, inputs))
        if not bool((self.deviation > 0).all()):
            raise ConfigError(f"deviation={deviation!r}: expected numbers above 0.")

    def forward(self, x: Tensor) -> Tensor:
        """Standardise inputs of shape ``(..., d)``.

        Raises:
            ShapeError: The last dimension is another.
        """
        if x.shape[-1:] != self.mean.shape:
            raise ShapeError(
                f"The network got inputs of shape {tuple(x.shape)}; expected "
                f"(..., {len(self.mean)})."
            )
        return (x - self.mean) / self.deviation

    def extra_repr(self) -> str:
        """Show the numbers."""
        return f"mean={self.mean.tolist()}, deviation={self.deviation.tolist()}"


def _one_each(name: str, values: Numbers, size: int) -> Tensor:
    numbers = torch.as_tensor(values, dtype=torch.get_default_dtype()).detach().clone()
    if numbers.ndim == 0:
        numbers = numbers.repeat(size)
    if numbers.shape == (size,) and bool(numbers.isfinite().all()):
        return numbers
    raise ConfigError(
        f"{name}={values!r}: expected one finite number, or {size} of them, one for each input."
    )
