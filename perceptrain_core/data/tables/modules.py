"""Preparation as modules, which can be exported together with a model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PrepareInputs(nn.Module):
    """Fill, scale and encode rows: ``(N, columns)``, float64, to ``(N, features)``, float32.

    Each feature is a number of a column, ``(value - mean) / scale``, or says whether the column
    has one category, 1 or 0.

    Args:
        fills: For each column, the value that replaces NaN; NaN to keep it.
        sources: For each feature, the column that it comes from.
        means: For each feature, the mean to subtract.
        scales: For each feature, what to divide by.
        codes: For each feature, the code of its category; NaN for a number.
    """

    fills: Tensor
    sources: Tensor
    means: Tensor
    scales: Tensor
    codes: Tensor
    encoded: Tensor

    def __init__(
        self,
        fills: Sequence[float],
        sources: Sequence[int],
        means: Sequence[float],
        scales: Sequence[float],
        codes: Sequence[float],
    ) -> None:
        super().__init__()
        self.register_buffer("sources", torch.tensor(sources, dtype=torch.int64))
        numbers = {"fills": fills, "means": means, "scales": scales, "codes": codes}
        for name, values in numbers.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64))
        self.register_buffer("encoded", ~torch.isnan(self.codes))

    def forward(self, rows: Tensor) -> Tensor:
        """Prepare raw rows of shape ``(N, columns)``, float64."""
        filled = torch.where(torch.isnan(rows), self.fills, rows)
        values = filled.index_select(1, self.sources)
        scaled = (values - self.means) / self.scales
        chosen = (values == self.codes).to(values.dtype)
        return torch.where(self.encoded, chosen, scaled).to(torch.float32)


class Scale(nn.Module):
    """Scale inputs of shape ``(N, ...)``: ``(x - mean) / scale``, in their dtype.

    Args:
        mean: The means, of the shape of one row.
        scale: What to divide by, of the same shape.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.to(torch.float64))
        self.register_buffer("scale", scale.to(torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Scale ``x``, of any floating dtype."""
        return ((x - self.mean) / self.scale).to(x.dtype)


class Unscale(nn.Module):
    """Turn outputs back into the units of the labels: ``y * scale + mean``, in their dtype.

    Args:
        mean: The mean of each label column.
        scale: What each was divided by.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Sequence[float], scale: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))

    def forward(self, y: Tensor) -> Tensor:
        """Unscale ``y``, of shape ``(N, labels)``."""
        return (y.to(torch.float64) * self.scale + self.mean).to(y.dtype)
