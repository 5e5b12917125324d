"""The scaling of data that come as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite, prod
from typing import Any, ClassVar

import torch
from pydantic import ConfigDict
from torch import Tensor, nn

from perceptrain_core.data.tables.modules import Scale, Unscale
from perceptrain_core.data.tables.plain_values import plain, validated
from perceptrain_core.errors import DataError


@dataclass(frozen=True)
class TensorPreparation:
    """How tensors become inputs of a model: ``(x - mean) / scale``; and labels in the same way.

    Attributes:
        shape: The shape of one row.
        mean: What is subtracted, the values of a tensor of that shape in a row.
        scale: What it is divided by, in the same way.
        classes: The names of the classes, in the order of their numbers, if they are known.
        label_mean: What is subtracted from the labels of a row; ``None`` if they are not scaled.
        label_scale: What they are divided by.
    """

    shape: tuple[int, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    classes: tuple[str, ...] | None = None
    label_mean: tuple[float, ...] | None = None
    label_scale: tuple[float, ...] | None = None

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    def __post_init__(self) -> None:
        sizes = {len(self.mean), len(self.scale), prod(self.shape)}
        numbers = (*self.mean, *self.scale)
        if len(sizes) > 1 or min(self.shape, default=0) < 0:
            raise DataError(f"mean and scale need a number for each value of shape {self.shape}.")
        if len(self.label_mean or ()) != len(self.label_scale or ()):
            raise DataError("label_mean and label_scale need a number for each label.")
        numbers = (*numbers, *(self.label_mean or ()), *(self.label_scale or ()))
        scales = (*self.scale, *(self.label_scale or ()))
        if not all(map(isfinite, numbers)) or min(scales, default=1) <= 0:
            raise DataError("mean and scale must be finite numbers, and the scale above 0.")

    @classmethod
    def of(cls, mean: Tensor, scale: Tensor) -> TensorPreparation:
        """Return the preparation of a mean and a scale of the shape of one row."""
        values = (tuple(tensor.double().flatten().tolist()) for tensor in (mean, scale))
        return cls(tuple(mean.shape), *values)

    def input_module(self) -> nn.Module:
        """Return a module that scales inputs of shape ``(N, *shape)`` in their dtype."""
        mean, scale = (torch.tensor(v, dtype=torch.float64) for v in (self.mean, self.scale))
        return Scale(mean.reshape(self.shape), scale.reshape(self.shape))

    def output_module(self) -> nn.Module:
        """Return a module that turns the model's outputs into the units of the labels."""
        if self.label_mean is None or self.label_scale is None:
            return nn.Identity()
        return Unscale(self.label_mean, self.label_scale)

    def label_module(self) -> nn.Module:
        """Return a module that scales labels."""
        if self.label_mean is None or self.label_scale is None:
            return nn.Identity()
        mean, scale = (
            torch.tensor(v, dtype=torch.float64) for v in (self.label_mean, self.label_scale)
        )
        return Scale(mean, scale)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that ``from_dict`` reads, and JSON can hold."""
        return plain(asdict(self))

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> TensorPreparation:
        """Read what ``to_dict`` returned.

        Raises:
            DataError: The values are something else; the message lists every fault.
        """
        return validated(cls, mapping)
