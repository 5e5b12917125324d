"""Standardization of inputs to mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from perceptrain.errors import ConfigError, ShapeError

#: One number for all inputs, or one per input.
Numbers: TypeAlias = float | Sequence[float] | Tensor


class Standardize(nn.Module):
    """Standardize each input: ``(x - mean) / deviation``.

    Args:
        inputs: The number of inputs ``d``.
        mean: One number, or one per input.
        deviation: One number above 0, or one per input.

    Raises:
        ConfigError: There is not one number per input, or a deviation is not above 0.
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
        """Standardize inputs of shape ``(..., d)``.

        Raises:
            ShapeError: The last dimension is not ``d``.
        """
        if x.shape[-1:] != self.mean.shape:
            raise ShapeError(
                f"The network got inputs of shape {tuple(x.shape)}; expected "
                f"(..., {len(self.mean)})."
            )
        return (x - self.mean) / self.deviation

    def extra_repr(self) -> str:
        """Show the mean and the deviation."""
        return f"mean={self.mean.tolist()}, deviation={self.deviation.tolist()}"


def _tensor(values: Any) -> Tensor:
    """Return a copy as a tensor, or NaN if it is not numbers."""
    try:
        return torch.as_tensor(values, dtype=torch.get_default_dtype()).detach().clone()
    except (TypeError, ValueError, RuntimeError):
        return torch.tensor(torch.nan)


def _one_each(name: str, values: Numbers, size: int) -> Tensor:
    numbers = _tensor(values)
    if numbers.ndim == 0:
        numbers = numbers.repeat(size)
    if numbers.shape == (size,) and bool(numbers.isfinite().all()):
        return numbers
    raise ConfigError(
        f"{name}={values!r}: expected one finite number, or {size} of them, one for each input."
    )
